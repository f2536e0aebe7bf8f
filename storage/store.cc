#include "storage/store.h"

#include <fmt/format.h>
#include <rocksdb/file_system.h>

#include <algorithm>
#include <set>

#include "storage/errors.h"
#include "storage/keys.h"
#include "storage/patient.h"
#include "storage/range.h"
#include "storage/records.h"
#include "storage/state.h"

namespace storage {

namespace {

constexpr size_t reserve_max = 4096;  // rows that a caller's limit makes room for beforehand

}  // namespace

Store::Store() = default;
Store::~Store() = default;

uint32_t Store::boot() const {
    return state_->boot;
}
JobId Store::last_job() const {
    return JobId{state_->last_job.load()};
}

Result<std::optional<std::string>> Store::content(JobId id) {
    const auto get = [&](const std::string& key, std::string& value) {
        return state_->db->Get({}, state_->family(Family::content), key, &value);
    };
    const auto failed = [&](Error error) {
        if (error.code == Errc::corruption) state_->tell_unreadable(Family::content, error.what);
        return std::unexpected(std::move(error));
    };
    std::string bytes;
    rocksdb::Status status = get(content_key(id), bytes);
    if (status.IsNotFound()) return std::nullopt;
    if (!status.ok()) return failed(state_->error(status, "read a content"));
    if (bytes.size() < content_header_bytes || bytes[0] != content_version)
        return failed(bad_record("content", content_key(id)));
    if (bytes[1] == 0) {
        bytes.erase(0, content_header_bytes);
        return bytes;
    }
    status = get(large_content_key(id), bytes);
    if (status.IsNotFound()) return std::nullopt;  // dropped between the two reads
    if (!status.ok()) return failed(state_->error(status, "read a content"));
    return bytes;
}

Result<std::optional<JobStatus>> Store::job(JobId id) {
    auto row = state_->job_row(id);
    if (!row) {
        if (row.error().code == Errc::corruption)
            state_->tell_unreadable(Family::job, row.error().what);
        return std::unexpected(row.error());
    }
    if (!*row || !(*row)->job) return std::nullopt;
    return std::move(**row).status(state_->boot);
}

/// What stands in a damaged block is left out and told: whoever reads in order would stand in front
/// of it for ever.
Result<std::vector<Event>> Store::events(uint64_t after, size_t limit) {
    const uint64_t upto = state_->events->readable();
    std::vector<Event> found;
    if (after >= upto) return found;
    found.reserve(std::min({limit, reserve_max, static_cast<size_t>(upto - after)}));
    uint64_t next = std::max(after + 1, state_->event_floor.load());
    while (next <= upto) {
        Range rows(*state_->db, state_->family(Family::event), number_key(next),
                   number_key(upto + 1));
        for (; rows.valid() && found.size() < limit; rows.next()) {
            const auto seq = parse_number_key(rows.key());
            auto event = seq ? read_event(*seq, rows.value()) : std::nullopt;
            if (event)
                found.push_back(std::move(*event));
            else
                state_->tell_unreadable(Family::event, bad_record("event", rows.key()).what);
            next = seq.value_or(next) + 1;
        }
        const rocksdb::Status status = rows.status();
        if (status.ok() || found.size() >= limit) return found;
        if (!status.IsCorruption()) return std::unexpected(state_->error(status, "read events"));
        const uint64_t behind = std::max(state_->readable_event(next, upto + 1), next + 1);
        state_->tell_unreadable(
            Family::event, fmt::format("events {} to {}: {}", next, behind - 1, status.ToString()));
        next = behind;
    }
    return found;
}

uint64_t Store::State::readable_event(uint64_t first, uint64_t end) const {
    const auto reads = [&](uint64_t number) {
        return Range(*db, family(Family::event), number_key(number), number_key(end)).status().ok();
    };
    // A damaged block is small beside what may be behind it: in growing steps over it, then back.
    uint64_t step = 1;
    while (end - first > step && !reads(first + step)) step *= 2;
    uint64_t low = first + step / 2;
    uint64_t high = std::min(end, first + step);
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        if (reads(middle))
            high = middle;
        else
            low = middle + 1;
    }
    return high;
}

uint64_t Store::last_event() const {
    return state_->events->readable();
}

uint64_t Store::first_event() const {
    const uint64_t floor = state_->event_floor.load();
    return floor <= state_->events->readable() ? floor : 0;
}

Result<uint64_t> Store::first_event_since(WallTime since) {
    return state_->first_event_since(since);
}

Result<std::vector<Event>> Store::events_of(DeliveryId id, size_t limit) {
    std::vector<Event> found;
    auto row = state_->job_row(id.job);
    if (!row) return std::unexpected(row.error());
    if (!*row) return found;
    const EventRanges& ranges = (*row)->tally.ranges;
    const uint64_t end = state_->events->readable() + 1;
    uint64_t at = state_->event_floor.load();
    for (const uint64_t number : ranges.numbers()) {
        const uint64_t begin = std::max(number << ranges.shift(), at);
        at = (number + 1) << ranges.shift();
        if (auto read = state_->read_story(id, begin, std::min(at, end), limit, found); !read)
            return std::unexpected(read.error());
        if (found.size() >= limit) break;
    }
    return found;
}

/// Adds the delivery's events from `begin` to before `end`, around what is damaged.
Result<void> Store::State::read_story(DeliveryId id, uint64_t begin, uint64_t end, size_t limit,
                                      std::vector<Event>& found) {
    while (begin < end) {
        Range rows(*db, family(Family::event), number_key(begin), number_key(end),
                   Range::Caching::pass_through);
        for (; rows.valid() && found.size() < limit; rows.next()) {
            const auto seq = parse_number_key(rows.key());
            begin = seq.value_or(begin) + 1;
            if (!event_is_of(rows.value(), id)) continue;
            auto event = seq ? read_event(*seq, rows.value()) : std::nullopt;
            if (event)
                found.push_back(std::move(*event));
            else
                tell_unreadable(Family::event, bad_record("event", rows.key()).what);
        }
        const rocksdb::Status status = rows.status();
        if (status.ok() || found.size() >= limit) return {};
        if (!status.IsCorruption())
            return std::unexpected(error(status, "read a delivery's events"));
        const uint64_t behind = std::max(readable_event(begin, end), begin + 1);
        tell_unreadable(Family::event,
                        fmt::format("events {} to {}: {}", begin, behind - 1, status.ToString()));
        begin = behind;
    }
    return {};
}

Result<std::optional<IdempotencyRecord>> Store::idempotency(std::string_view tenant,
                                                            std::string_view key, WallTime now) {
    const std::string row = idempotency_key(tenant, key);
    std::string bytes;
    const auto status = state_->db->Get({}, state_->family(Family::idempotency), row, &bytes);
    if (status.IsNotFound()) return std::nullopt;
    if (!status.ok()) return std::unexpected(state_->error(status, "read an idempotency key"));
    auto record = read_idempotency(tenant, key, bytes);
    if (!record) return std::unexpected(bad_record("idempotency", row));
    if (record->expires <= now) return std::nullopt;
    return record;
}

Result<void> Store::put_notes(std::string_view kind, std::span<const Note> notes) {
    rocksdb::WriteBatch batch;
    for (const Note& note : notes) {
        const std::string key = note_key(kind, note.name);
        if (note.value.empty())
            batch.Delete(state_->family(Family::meta), key);
        else
            batch.Put(state_->family(Family::meta), key, note.value);
    }
    return state_->write(batch, "keep notes");
}

Result<std::vector<Note>> Store::notes(std::string_view kind, std::string_view prefix,
                                       size_t limit) {
    const std::string head = note_key(kind, {});
    const std::string begin = head + std::string(prefix);
    std::vector<Note> found;
    Range rows(*state_->db, state_->family(Family::meta), begin, behind_prefix(begin));
    for (; rows.valid() && found.size() < limit; rows.next())
        found.push_back({std::string(rows.key().substr(head.size())), std::string(rows.value())});
    if (!rows.status().ok()) return std::unexpected(state_->error(rows.status(), "read notes"));
    return found;
}

Ledger Store::ledger() const {
    const std::lock_guard lock(state_->ledger_mutex);
    return state_->ledger;
}

JobCounts Store::totals() const {
    JobCounts sum;
    const std::lock_guard lock(state_->ledger_mutex);
    for (const auto& [tenant, counts] : state_->ledger) sum += counts;
    return sum;
}

std::pair<int64_t, bool> Store::delivery_rows() const {
    const bool exact =
        state_->rows_exact.load();  // first: what is counted is complete once it is true
    return {state_->rows_counted.load() + state_->rows_changed.load(), exact};
}

uint64_t Store::unreadable() const {
    return state_->unreadable.load(std::memory_order_relaxed);
}

bool Store::healthy() const {
    return !state_->health.failed();
}

uint64_t Store::free_bytes() const {
    uint64_t least = UINT64_MAX;
    for (const auto& place : {state_->directory, state_->logs}) {
        uint64_t free = 0;
        const auto status = state_->file_system->GetFreeSpace(place.string(), {}, &free, nullptr);
        least = std::min(least, status.ok() ? free : 0);
    }
    return least;
}

uint64_t Store::data_bytes() const {
    uint64_t sum = 0;
    for (const auto& place : std::set{state_->directory, state_->logs}) {
        std::vector<rocksdb::Env::FileAttributes> files;
        const auto status =
            state_->file_system->GetChildrenFileAttributes(place.string(), {}, &files, nullptr);
        if (status.ok())
            for (const auto& file : files) sum += file.size_bytes;
    }
    return sum;
}

}  // namespace storage
