#include "storage/state.h"

#include <fmt/format.h>
#include <rocksdb/transaction_log.h>

#include <utility>

#include "metrics/log.h"
#include "storage/errors.h"
#include "storage/keys.h"
#include "storage/patient.h"

namespace storage {

namespace {
constexpr size_t told_max = 100;  // different words about damage that are remembered
}

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

void Store::State::tell_unreadable(Family family, std::string_view what) {
    unreadable.fetch_add(1, std::memory_order_relaxed);
    {
        // A block may be met by each of a hundred thousand queues, and once a second by a reader.
        const std::lock_guard lock(told_mutex);
        if (told.size() >= told_max) told.clear();
        if (!told.emplace(what).second) return;
    }
    metrics::log::error("storage.unreadable",
                        {{"family", name_of(family)},
                         {"what", what},
                         {"hint",
                          "mail goes on without what stood there; stop the daemon when it suits "
                          "you and run sluice fsck"}});
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
        const rocksdb::Status resumed = lock ? resume() : rocksdb::Status::NoSpace("trying again");
        if (!resumed.ok()) {
            Error refusal = error(resumed, doing);
            if (resumed.IsAborted())
                health.fail(refusal);
            else
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
    if (failure.code == Errc::no_space) {
        broken_log = log_number();
        health.set_full(true);
    } else if (failure.code != Errc::invalid) {
        health.fail(failure);
    }
    return std::unexpected(std::move(failure));
}

/// A log in which a write has failed takes nothing more: RocksDB's writer of it aborts the process.
/// Resume() begins a new one, but only when it finds something to flush.
rocksdb::Status Store::State::resume() {
    const rocksdb::Status status = db->Resume();
    if (!status.ok()) return status;
    if (const uint64_t broken = broken_log.exchange(0); broken != 0 && broken == log_number())
        return rocksdb::Status::Aborted("its log takes no writes any more; start again");
    // For the next time, should the write that comes now fail, too.
    rocksdb::WriteOptions unlogged;
    unlogged.disableWAL = true;
    return db->Put(unlogged, family(Family::meta), std::string(meta_boot), number_key(boot));
}

uint64_t Store::State::log_number() const {
    std::unique_ptr<rocksdb::LogFile> log;
    return db->GetCurrentWalFile(&log).ok() ? log->LogNumber() : 0;
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

std::vector<UselessContent> Store::State::take_useless(size_t limit) {
    const std::lock_guard lock(useless_mutex);
    const size_t count = std::min(limit, useless_contents.size());
    const auto begin = useless_contents.end() - static_cast<ptrdiff_t>(count);
    std::vector<UselessContent> taken(begin, useless_contents.end());
    useless_contents.erase(begin, useless_contents.end());
    contents_dropped += count;
    return taken;
}

void Store::State::add_useless(std::span<const UselessContent> jobs) {
    if (jobs.empty()) return;
    const std::lock_guard lock(useless_mutex);
    useless_contents.insert(useless_contents.end(), jobs.begin(), jobs.end());
}

}  // namespace storage
