#include "storage/state.h"

#include <fmt/format.h>

#include "storage/errors.h"
#include "storage/keys.h"

namespace storage {

void Health::fail(Error error) {
    const std::lock_guard lock(mutex_);
    if (failed()) return;
    error_ = std::move(error);
    failed_.store(true, std::memory_order_release);
}

Error Health::error() const {
    const std::lock_guard lock(mutex_);
    return error_;
}

Error Store::State::error(const rocksdb::Status& status, std::string_view doing) const {
    return error_of(status, fmt::format("{} in {}", doing, directory.string()));
}

Result<void> Store::State::write(rocksdb::WriteBatch& batch, std::string_view doing) {
    if (health.failed()) {
        Error before = health.error();
        before.what = "the store takes no writes since an earlier failure: " + before.what;
        return std::unexpected(std::move(before));
    }
    if (health.full()) {
        // One caller tries; for the others the disk is as full as it was.
        const std::unique_lock lock(resume_mutex, std::try_to_lock);
        const rocksdb::Status resumed =
            lock ? db->Resume() : rocksdb::Status::NoSpace("trying again");
        if (!resumed.ok()) {
            Error refusal = error(resumed, doing);
            refusal.code = Errc::no_space;
            return std::unexpected(std::move(refusal));
        }
        health.set_full(false);
    }
    rocksdb::WriteOptions durable;
    durable.sync = true;
    const rocksdb::Status status = db->Write(durable, &batch);
    if (status.ok()) return {};
    Error failure = error(status, doing);
    if (failure.code == Errc::no_space)
        health.set_full(true);
    else if (failure.code != Errc::invalid)
        health.fail(failure);
    return std::unexpected(std::move(failure));
}

Result<std::optional<JobRow>> Store::State::job_row(JobId id) const {
    const std::string key = number_key(static_cast<uint64_t>(id));
    rocksdb::PinnableSlice bytes;
    const rocksdb::Status status = db->Get({}, family(Family::job), key, &bytes);
    if (status.IsNotFound()) return std::nullopt;
    if (!status.ok()) return std::unexpected(error(status, "read a job"));
    auto row = JobRow::read(view(bytes));
    if (!row) return std::unexpected(bad_record("job", key));
    return row;
}

std::vector<JobId> Store::State::take_useless(size_t limit) {
    const std::lock_guard lock(useless_mutex);
    const size_t count = std::min(limit, useless_contents.size());
    const auto begin = useless_contents.end() - static_cast<ptrdiff_t>(count);
    std::vector<JobId> taken(begin, useless_contents.end());
    useless_contents.erase(begin, useless_contents.end());
    return taken;
}

void Store::State::add_useless(std::span<const JobId> jobs) {
    if (jobs.empty()) return;
    const std::lock_guard lock(useless_mutex);
    useless_contents.insert(useless_contents.end(), jobs.begin(), jobs.end());
}

}  // namespace storage
