// Forgetting: contents that nobody will send again, and what is past its time. Everything here may
// be cut by a crash at any point and is then done by the next call.
#include <rocksdb/convenience.h>

#include <algorithm>

#include "storage/commit.h"
#include "storage/errors.h"
#include "storage/ids.h"
#include "storage/keys.h"
#include "storage/range.h"
#include "storage/records.h"
#include "storage/state.h"

namespace storage {

namespace {

constexpr size_t deletes_per_write = 1000;
constexpr auto reclaim_every = std::chrono::hours(1);
constexpr auto quiet_for = std::chrono::seconds(10);
constexpr uint64_t given_back_min = 2 << 20;  // octets: less is not worth a table

}  // namespace

Result<void> Store::collect(WallTime now) {
    const std::lock_guard lock(state_->collect_mutex);
    state_->hold_compactions();
    // All of them: damage in one family must not keep what is past its time in the others.
    Result<void> first;
    for (auto done :
         {state_->drop_contents(), state_->drop_orphans(),
          state_->drop_events(now - state_->options.event_retention),
          state_->drop_jobs(now - state_->options.job_retention), state_->drop_idempotency(now)})
        if (!done && first) first = std::move(done);
    state_->reclaim_blobs(now);
    return first;
}

void Store::give_back_memory(WallTime now) {
    State& s = *state_;
    const std::lock_guard lock(s.collect_mutex);
    const uint64_t sequence = s.db->GetLatestSequenceNumber();
    if (sequence != s.quiet.sequence) s.quiet = {sequence, now};
    if (now - s.quiet.since < quiet_for || s.health.failed() || s.health.full()) return;
    s.quiet.since = now;  // then it is looked at again
    const auto sum_of = [&](const std::string& property) {
        uint64_t sum = 0;
        return s.db->GetAggregatedIntProperty(property, &sum) ? sum : 0;
    };
    if (sum_of(rocksdb::DB::Properties::kCurSizeAllMemTables) < given_back_min) return;
    // A flush would wait for compactions that are behind, and commits for us.
    if (sum_of(rocksdb::DB::Properties::kCompactionPending) > 0) return;
    rocksdb::FlushOptions in_background;
    in_background.wait = false;
    // What fails here is told to those who listen to RocksDB's background errors.
    (void)s.db->Flush(in_background, s.families);
}

Result<void> Store::State::drop_contents() {
    while (true) {
        const std::vector<UselessContent> contents = take_useless(deletes_per_write);
        if (contents.empty()) return {};
        GroupWriter writer(families, {});
        for (const UselessContent& content : contents) writer.drop_content(content);
        if (auto written = write(writer.batch(), "drop contents"); !written) {
            add_useless(contents);
            return written;
        }
    }
}

/// A compaction that has met a damaged block begins again each second, for ever, and meets it
/// again.
void Store::State::hold_compactions() {
    for (size_t f = 0; f < family_count; ++f) {
        if (!damaged[f] || held[f]) continue;
        held[f] = db->SetOptions(families[f], {{"disable_auto_compactions", "true"}}).ok();
    }
}

/// A blob file goes once the rows that name it are gone, and they go when their deletions reach
/// them in a compaction. Where little happens that would be never; so once an hour, if a content
/// was dropped, the rows of large ones (40 octets each) are compacted, on a thread of its own:
/// commits wait for whoever calls collect().
void Store::State::reclaim_blobs(WallTime now) {
    // What a snapshot still shows no compaction drops.
    if (snapshot_held || std::chrono::abs(now - reclaimed_at) < reclaim_every) return;
    reclaimed_at = now;
    uint64_t blob_bytes = 0;
    db->GetIntProperty(family(Family::content), rocksdb::DB::Properties::kLiveBlobFileSize,
                       &blob_bytes);
    if (blob_bytes == 0 || contents_dropped.exchange(0) == 0) return;
    reclaimer = std::jthread([this](const std::stop_token& stop) {
        std::atomic<bool> cancelled{false};
        const std::stop_callback cancel(stop, [&] { cancelled = true; });
        rocksdb::CompactRangeOptions how;
        how.exclusive_manual_compaction = false;
        how.canceled = &cancelled;
        const std::string begin = large_content_key(JobId{0});
        const std::string end = behind_prefix(begin.substr(0, 1));
        const rocksdb::Slice first(begin);
        const rocksdb::Slice last(end);
        // What fails here fails RocksDB's other compactions too, and they are listened to.
        (void)db->CompactRange(how, family(Family::content), &first, &last);
    });
}

// Contents that were of no more use when the daemon died, or whose job was still coming in then.
Result<void> Store::State::drop_orphans() {
    if (orphans_dropped) return {};
    std::vector<UselessContent> orphans;
    Range rows(*db, family(Family::content), content_key(JobId{0}),
               behind_prefix(content_key(JobId{last_job_at_open})), Range::Caching::pass_through);
    for (; rows.valid(); rows.next()) {
        const auto number = parse_number_key(rows.key().substr(1));
        if (!number) return std::unexpected(bad_record("content", rows.key()));
        const auto row = job_row(JobId{*number});
        if (!row) return std::unexpected(row.error());
        const bool in_use =
            *row && (*row)->job && (!(*row)->complete(boot) || (*row)->tally.counts.open() > 0);
        if (!in_use) orphans.push_back({.job = JobId{*number}});
    }
    if (!rows.status().ok()) return std::unexpected(error(rows.status(), "look for orphans"));
    add_useless(orphans);
    orphans_dropped = true;
    return drop_contents();
}

Result<void> Store::State::drop_events(WallTime before) {
    const auto first_kept = first_event_since(before);
    if (!first_kept) return std::unexpected(first_kept.error());
    const uint64_t floor = event_floor.load();
    if (*first_kept <= floor) return {};
    // Numbers must not begin again when the last event is gone; and nobody reads below the floor,
    // so that whole files can go without being read. What is left of a file that the floor cuts
    // through goes with the rest of it. Not DeleteRange: the file that holds it overlaps all
    // others, and events that would move down the levels as they are would be written again.
    rocksdb::WriteBatch batch;
    const std::string begin = number_key(0);
    const std::string end = number_key(*first_kept);
    batch.Put(family(Family::meta), std::string(meta_event_floor), end);
    if (auto written = write(batch, "drop old events"); !written) return written;
    event_floor = *first_kept;
    const rocksdb::Slice first(begin);
    const rocksdb::Slice last(end);
    const rocksdb::RangePtr range(&first, &last);
    const rocksdb::Status status =
        rocksdb::DeleteFilesInRanges(db.get(), family(Family::event), &range, 1, false);
    if (!status.ok()) return std::unexpected(error(status, "drop files of old events"));
    return {};
}

// Events were written in about the order of their times, so a binary search finds the edge with a
// few reads.
Result<uint64_t> Store::State::first_event_since(WallTime since) const {
    uint64_t low = event_floor.load();
    uint64_t high = events->readable() + 1;
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        std::optional<Range> rows;
        const auto look = [&](uint64_t from) {
            rows.emplace(*db, family(Family::event), number_key(from), number_key(high),
                         Range::Caching::pass_through);
        };
        look(middle);
        if (rows->status().IsCorruption()) look(readable_event(middle, high));
        if (!rows->status().ok()) return std::unexpected(error(rows->status(), "read old events"));
        if (!rows->valid()) {  // a gap up to `high`
            high = middle;
            continue;
        }
        const auto seq = parse_number_key(rows->key());
        const auto time = event_time(rows->value());
        if (!seq || !time) return std::unexpected(bad_record("event", rows->key()));
        if (*time < since)
            low = *seq + 1;
        else
            high = middle;
    }
    return low;
}

Result<void> Store::State::drop_jobs(WallTime before) {
    // A job ends after it came, so none that came later can be due; their ids are all above this
    // one.
    const uint64_t end = static_cast<uint64_t>(make_job_id({.time = before}));
    rocksdb::WriteBatch batch;
    const uint64_t highest = last_job.load();
    const auto flush = [&]() -> Result<void> {
        if (batch.Count() == 0) return {};
        // Stored with the deletion, or last_job() would fall when the last row is gone.
        batch.Put(family(Family::meta), std::string(meta_job_floor), number_key(highest));
        auto written = write(batch, "drop old jobs");
        batch.Clear();
        return written;
    };
    std::optional<uint64_t> first_kept;
    Range rows(*db, family(Family::job), number_key(jobs_from), number_key(end),
               Range::Caching::pass_through);
    for (; rows.valid(); rows.next()) {
        const auto id = parse_number_key(rows.key());
        const auto row = JobRow::read(rows.value());
        if (!id || !row) return std::unexpected(bad_record("job", rows.key()));
        const bool finished = row->complete(boot) && row->tally.counts.open() == 0;
        const bool old = !row->job || row->tally.last_end.value_or(row->job->created) < before;
        // A row without a job is what a late complaint left of one that was collected.
        if (row->job && !(finished && old)) {
            if (!first_kept) first_kept = *id;
            continue;
        }
        batch.Delete(family(Family::job), number_key(*id));
        if (batch.Count() < deletes_per_write) continue;
        if (auto flushed = flush(); !flushed) return flushed;
    }
    if (!rows.status().ok()) return std::unexpected(error(rows.status(), "read old jobs"));
    if (auto flushed = flush(); !flushed) return flushed;
    jobs_from = first_kept.value_or(std::max(jobs_from, end));
    return {};
}

Result<void> Store::State::drop_idempotency(WallTime upto) {
    rocksdb::WriteBatch batch;
    const auto flush = [&]() -> Result<void> {
        if (batch.Count() == 0) return {};
        auto written = write(batch, "drop expired idempotency keys");
        batch.Clear();
        return written;
    };
    Range rows(*db, family(Family::idempotency), idempotency_expiry_begin,
               idempotency_expiry_bound(upto), Range::Caching::pass_through);
    for (; rows.valid(); rows.next()) {
        const auto name = parse_idempotency_expiry_key(rows.key());
        if (!name) return std::unexpected(bad_record("idempotency", rows.key()));
        // The same key may have been used again since; then its record has another expiry, and
        // stays.
        const std::string key = idempotency_key(name->tenant, name->key);
        std::string bytes;
        const rocksdb::Status status = db->Get({}, family(Family::idempotency), key, &bytes);
        if (!status.ok() && !status.IsNotFound())
            return std::unexpected(error(status, "read an idempotency key"));
        const auto record =
            status.ok() ? read_idempotency(name->tenant, name->key, bytes) : std::nullopt;
        if (record && record->expires <= upto) batch.Delete(family(Family::idempotency), key);
        batch.Delete(family(Family::idempotency), idempotency_expiry_key({
                                                      .tenant = name->tenant,
                                                      .key = name->key,
                                                      .expires = name->expires,
                                                  }));
        if (batch.Count() < deletes_per_write) continue;
        if (auto flushed = flush(); !flushed) return flushed;
    }
    if (!rows.status().ok())
        return std::unexpected(error(rows.status(), "read expired idempotency keys"));
    return flush();
}

}  // namespace storage
