// The list of jobs, from the newest back.
#include "storage/errors.h"
#include "storage/keys.h"
#include "storage/ledger.h"
#include "storage/state.h"

namespace storage {

Result<std::vector<JobStatus>> Store::jobs(JobId before, size_t limit) {
    std::vector<JobStatus> found;
    rocksdb::ReadOptions options;
    options.fill_cache = false;
    const std::unique_ptr<rocksdb::Iterator> rows(
        state_->db->NewIterator(options, state_->family(Family::job)));
    const std::string bound = number_key(static_cast<uint64_t>(before));
    rows->SeekForPrev(bound);
    if (rows->Valid() && view(rows->key()) == bound) rows->Prev();
    for (; rows->Valid() && found.size() < limit; rows->Prev()) {
        auto row = JobRow::read(view(rows->value()));
        if (!row) return std::unexpected(bad_record("job", view(rows->key())));
        if (row->job) found.push_back(std::move(*row).status(state_->boot));
    }
    if (!rows->status().ok())
        return std::unexpected(state_->error(rows->status(), "list the jobs"));
    return found;
}

}  // namespace storage
