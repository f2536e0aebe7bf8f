#include "storage/commit.h"

#include <fmt/format.h>
#include <rocksdb/perf_level.h>

#include <algorithm>

#include "metrics/check.h"
#include "storage/errors.h"
#include "storage/keys.h"
#include "storage/records.h"

namespace storage {

namespace {

// RocksDB's own limit is 4 GiB; far below it a group is somebody's mistake.
constexpr size_t group_bytes_max = size_t{512} << 20;
// How many contents one commit deletes beside its own work.
constexpr size_t contents_dropped_max = 256;
constexpr size_t row_bytes_about = 160, event_bytes_about = 384;

/// In the order of their keys: a memtable goes on from the place of the row before instead of
/// searching for each one's, which with 100,000 queues was a quarter of what an intake cost.
std::vector<RowChange> row_changes(std::span<const Batch> group) {
    std::vector<RowChange> changes;
    size_t count = 0;
    for (const Batch& batch : group) count += batch.puts.size() + batch.removes.size();
    changes.reserve(count);
    for (const Batch& batch : group) {
        for (const Delivery& delivery : batch.puts)
            changes.push_back({key_of(delivery), &delivery});
        for (const DeliveryKey& key : batch.removes) changes.push_back({key, nullptr});
    }
    std::ranges::sort(changes, {}, &RowChange::key);
    return changes;
}

// SingleDelete is only sound when a key was put once since it was last deleted. A key twice in a
// group is a bug of the caller; kept out here, it cannot become a delivery that rises from the dead
// at a compaction.
std::optional<Error> repeated_key(std::span<const RowChange> in_key_order) {
    const auto twice = std::ranges::adjacent_find(in_key_order, {}, &RowChange::key);
    if (twice == in_key_order.end()) return std::nullopt;
    const DeliveryKey& key = twice->key;
    return Error{Errc::invalid,
                 fmt::format("delivery {}-{} due {} ms is put or removed twice in one group; a "
                             "deferral must change its due time",
                             static_cast<uint64_t>(key.id.job), key.id.index,
                             key.due.time_since_epoch().count())};
}

struct GroupSize {
    uint64_t events = 0;
    size_t bytes = 0;  // of its write batch, about
    int64_t rows = 0;  // put less removed
    uint64_t last_job = 0;
};
GroupSize size_of(std::span<const Batch> group) {
    GroupSize size;
    for (const Batch& batch : group) {
        size.events += batch.events.size();
        size.rows +=
            static_cast<int64_t>(batch.puts.size()) - static_cast<int64_t>(batch.removes.size());
        for (const Job& job : batch.jobs) {
            size.last_job = std::max(size.last_job, static_cast<uint64_t>(job.id));
            size.bytes += job.content.size() + row_bytes_about;
        }
        for (const Delivery& delivery : batch.puts)
            size.bytes += delivery.vars.size() + delivery.meta.size() + row_bytes_about;
        size.bytes += batch.events.size() * event_bytes_about + batch.removes.size() * 64;
    }
    return size;
}

bool writes_queue_rows(std::span<const Batch> group) {
    return std::ranges::any_of(group, [](const Batch& batch) { return !batch.queues.empty(); });
}

void raise(std::atomic<uint64_t>& highest, uint64_t value) {
    uint64_t seen = highest.load();
    while (seen < value && !highest.compare_exchange_weak(seen, value)) {
    }
}

}  // namespace

void GroupWriter::add(const Batch& batch, uint64_t first_seq) {
    for (const Job& job : batch.jobs) put_content(job);
    for (const auto& [id, info] : batch.queues) {
        value_.clear();
        write_queue(value_, info);
        put(Family::queue, queue_key(id));
    }
    uint64_t seq = first_seq;
    for (const Event& event : batch.events) {
        value_.clear();
        write_event(value_, event);
        put(Family::event, number_key(seq++));
    }
    for (const IdempotencyRecord& record : batch.idempotency) put_idempotency(record);
    for (const auto& [kind, note] : batch.notes) {
        value_.clear();
        value_.raw(note.value);
        if (note.value.empty())
            batch_.Delete(family(Family::meta), note_key(kind, note.name));
        else
            put(Family::meta, note_key(kind, note.name));
    }
    for (const Suppression& entry : batch.suppressions) {
        value_.clear();
        write_suppression(value_, entry);
        put(Family::suppression, suppression_key(entry.tenant, entry.address));
    }
}

void GroupWriter::add(std::span<const RowChange> in_key_order) {
    for (const RowChange& change : in_key_order) {
        const std::string key = delivery_key(change.key);
        if (change.put)
            put_delivery(key, *change.put);
        else
            batch_.SingleDelete(family(Family::delivery), key);
    }
}

void GroupWriter::add(const Additions& additions) {
    // In order, because then the memtable need not look for each one's place.
    std::vector<JobId> jobs;
    jobs.reserve(additions.jobs.size());
    for (const auto& [id, row] : additions.jobs) jobs.push_back(id);
    std::ranges::sort(jobs);
    for (const JobId id : jobs) {
        const JobRow& row = additions.jobs.at(id);
        value_.clear();
        row.write(value_);
        const std::string key = number_key(static_cast<uint64_t>(id));
        if (row.job)
            put(Family::job, key);
        else
            batch_.Merge(family(Family::job), key, value_.bytes());
    }
    for (const auto& [tenant, counts] : additions.tenants) {
        value_.clear();
        TenantRow{counts}.write(value_);
        batch_.Merge(family(Family::meta), std::string(meta_ledger) + tenant, value_.bytes());
    }
}

void GroupWriter::drop_content(const UselessContent& content) {
    // Not SingleDelete: a content may be dropped twice, by a commit that failed half way and by
    // collect().
    batch_.Delete(family(Family::content), content_key(content.job));
    if (!content.small) batch_.Delete(family(Family::content), large_content_key(content.job));
}

void GroupWriter::put(Family f, const std::string& key) {
    batch_.Put(family(f), key, value_.bytes());
}

void GroupWriter::put_content(const Job& job) {
    if (job.content.empty()) return;
    const bool large = job.content.size() >= large_content_min;
    if (large) batch_.Put(family(Family::content), large_content_key(job.id), job.content);
    const char header[] = {content_version, large ? char{1} : char{0}};
    const std::string key = content_key(job.id);
    const rocksdb::Slice keys[] = {key};
    const rocksdb::Slice values[] = {{header, sizeof header},
                                     large ? rocksdb::Slice() : rocksdb::Slice(job.content)};
    batch_.Put(family(Family::content), {keys, 1}, {values, 2});
}

void GroupWriter::put_delivery(const std::string& key, const Delivery& delivery) {
    const bool is_new = delivery.attempts == 0 && delivery.mark.group == 0;
    value_.clear();
    write_delivery(value_, delivery, is_new ? mark_ : delivery.mark);
    put(Family::delivery, key);
}

void GroupWriter::put_idempotency(const IdempotencyRecord& record) {
    value_.clear();
    write_idempotency(value_, record);
    put(Family::idempotency, idempotency_key(record.tenant, record.key));
    value_.clear();
    put(Family::idempotency, idempotency_expiry_key(record));
}

Result<Committed> Store::commit(std::span<const Batch> group, uint16_t shard,
                                uint64_t group_number) {
    CHECK(group_number > 0, "commit groups are counted from 1: 0 marks a delivery as new");
    // RocksDB's counts of its own steps, by thread: nobody reads them, and each comparison of keys
    // pays for them.
    rocksdb::SetPerfLevel(rocksdb::PerfLevel::kDisable);
    const std::vector<RowChange> changes = row_changes(group);
    if (auto refusal = repeated_key(changes)) return std::unexpected(std::move(*refusal));
    const GroupSize size = size_of(group);
    const EventLog::Ticket ticket = state_->events->begin(size.events);
    const Additions additions = additions_of(group, ticket.first, state_->boot);
    if (auto pinned = state_->live_jobs->pin(additions); !pinned) {
        state_->events->failed(ticket);
        return std::unexpected(pinned.error());
    }
    GroupWriter writer(state_->families, {state_->boot, shard, group_number}, size.bytes);
    uint64_t seq = ticket.first;
    for (const Batch& batch : group) {
        writer.add(batch, seq);
        seq += batch.events.size();
    }
    writer.add(changes);
    writer.add(additions);
    const std::vector<UselessContent> useless = state_->take_useless(contents_dropped_max);
    for (const UselessContent& content : useless) writer.drop_content(content);

    std::shared_lock<std::shared_mutex> queue_rows;
    if (writes_queue_rows(group)) queue_rows = std::shared_lock(state_->queue_rows);
    const uint64_t bytes = writer.batch().GetDataSize();
    Result<void> written =
        bytes <= group_bytes_max
            ? state_->write(writer.batch(), "commit")
            : std::unexpected(Error{
                  Errc::invalid, fmt::format("a commit group of {} bytes is above the limit of {} "
                                             "bytes; commit less at once",
                                             bytes, group_bytes_max)});
    if (!written) {
        state_->add_useless(useless);
        state_->live_jobs->unpin(additions);
        state_->events->failed(ticket);
        return std::unexpected(written.error());
    }
    state_->add_useless(state_->live_jobs->apply(additions));
    state_->rows_changed += size.rows;
    raise(state_->last_job, size.last_job);
    for (const Batch& batch : group)
        for (const Suppression& entry : batch.suppressions)
            state_->note_suppressed(entry.tenant, entry.time);
    {
        const std::lock_guard lock(state_->ledger_mutex);
        for (const auto& [tenant, counts] : additions.tenants) state_->ledger[tenant] += counts;
    }
    return Committed{.events_upto = state_->events->committed(ticket), .bytes = bytes};
}

}  // namespace storage
