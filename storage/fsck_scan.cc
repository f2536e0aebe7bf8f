#include "storage/fsck_scan.h"

#include <algorithm>
#include <set>

#include "storage/codec.h"
#include "storage/keys.h"
#include "storage/records.h"

namespace storage {

namespace {

constexpr uint64_t progress_every = 65'536;

class Scanner {
  public:
    Scanner(rocksdb::DB& db, std::span<rocksdb::ColumnFamilyHandle* const> families,
            const FsckOptions& options)
        : db_(db), families_(families), options_(options) {}

    Scan run() {
        // Events last: they are compared with the rows.
        read(Family::meta, [this](auto key, auto value) { return meta(key, value); });
        read(Family::queue, [this](auto key, auto value) { return queue(key, value); });
        read(Family::job, [this](auto key, auto value) { return job(key, value); });
        read(Family::content, [this](auto key, auto value) { return content(key, value); });
        match_contents();
        read(Family::delivery, [this](auto key, auto value) { return delivery(key, value); });
        std::ranges::sort(scan_.rows, {}, [](const ScannedRow& row) { return row.key.id; });
        read(Family::event, [this](auto key, auto value) { return event(key, value); });
        read(Family::idempotency, [this](auto key, auto value) { return idempotency(key, value); });
        read(Family::suppression, [this](auto key, auto value) { return suppression(key, value); });
        for (const std::string& key : keys_)
            if (!expiring_.contains(key)) scan_.unbounded_keys.push_back(key);
        if (scan_.events_damaged()) scan_.compare_no_events();
        return std::move(scan_);
    }

  private:
    template <class Take>
    void read(Family family, Take take) {
        uint64_t records = 0;
        auto* handle = families_[static_cast<size_t>(family)];
        if (!handle) return;  // an older version has not made it yet
        const auto gaps =
            read_patiently(db_, handle, family, [&](std::string_view key, std::string_view value) {
                if (!take(key, value)) scan_.bad_records.emplace_back(family, key);
                if (++records % progress_every == 0 && options_.progress)
                    options_.progress(name_of(family), records);
            });
        scan_.gaps.insert(scan_.gaps.end(), gaps.begin(), gaps.end());
    }

    bool meta(std::string_view key, std::string_view value) {
        if (key.starts_with(meta_ledger)) {
            const auto row = TenantRow::read(value);
            if (!row) return false;
            scan_.ledger.emplace(key.substr(meta_ledger.size()), row->counts);
            return true;
        }
        if (key != meta_boot && key != meta_event_floor && key != meta_job_floor &&
            key != meta_events_whole_from)
            return true;  // notes are their writers' own
        const auto number = parse_number_key(value);
        if (number && key == meta_event_floor) scan_.event_floor = std::max<uint64_t>(*number, 1);
        if (number && key == meta_events_whole_from) scan_.events_whole_from = *number;
        if (number && key == meta_boot) scan_.boot = static_cast<uint32_t>(*number);
        return number.has_value();
    }

    bool queue(std::string_view key, std::string_view value) {
        const auto id = parse_queue_key(key);
        auto info = read_queue_info(value);
        if (!id || !info) return false;
        const bool fits = !options_.queue_id || options_.queue_id(*info) == *id;
        if (fits)
            scan_.queues[*id] = std::move(info);
        else
            scan_.queues[*id] = std::nullopt;
        return true;
    }

    bool job(std::string_view key, std::string_view value) {
        const auto id = parse_number_key(key);
        const auto row = JobRow::read(value);
        if (!id || !row) return false;
        ScannedJob& job = scan_.jobs[JobId{*id}];
        job.counts_known = true;
        scan_.boot_seen = std::max(scan_.boot_seen, row->boot);
        job.counts = row->tally.counts;
        if (const EventRanges& ranges = row->tally.ranges; !ranges.numbers().empty()) {
            job.ranges_begin = ranges.numbers().front() << ranges.shift();
            scan_.event_numbers_end =
                std::max(scan_.event_numbers_end, (ranges.numbers().back() + 1) << ranges.shift());
        }
        if (!row->job) return true;
        job.has_row = true;
        job.tenant = row->job->tenant;
        job.complete = row->complete(scan_.boot + 1);
        return true;
    }

    bool content(std::string_view key, std::string_view value) {
        if (key.size() != 9 || (key[0] != 0 && key[0] != 1)) return false;
        const JobId id{*parse_number_key(key.substr(1))};
        if (key[0] == 1) {
            large_.push_back(id);
            return true;
        }
        if (value.size() < content_header_bytes || value[0] != content_version) return false;
        ++scan_.contents;
        if (value[1] == 1)
            marked_.push_back(id);
        else
            scan_.jobs[id].content = true;
        return true;
    }

    void match_contents() {
        std::ranges::set_difference(marked_, large_,
                                    std::back_inserter(scan_.markers_without_content));
        std::ranges::set_difference(large_, marked_,
                                    std::back_inserter(scan_.contents_without_marker));
        std::vector<JobId> whole;
        std::ranges::set_intersection(marked_, large_, std::back_inserter(whole));
        for (const JobId id : whole) scan_.jobs[id].content = true;
    }

    bool delivery(std::string_view key, std::string_view value) {
        const auto name = parse_delivery_key(key);
        const auto row = name ? read_delivery(*name, value) : std::nullopt;
        if (!row) return false;
        scan_.boot_seen = std::max(scan_.boot_seen, row->mark.boot);
        ScannedJob& job = scan_.jobs[name->id.job];
        ++job.rows;
        const auto queue = scan_.queues.try_emplace(name->queue, std::nullopt).first;
        const std::string& tenant =
            job.has_row || !queue->second ? job.tenant : queue->second->tenant;
        ++scan_.rows_of_tenant[tenant];
        scan_.rows.push_back({*name, row->attempts});
        return true;
    }

    bool event(std::string_view key, std::string_view value) {
        const auto seq = parse_number_key(key);
        if (seq) scan_.last_event = *seq;
        const auto event = seq ? read_event(*seq, value) : std::nullopt;
        if (!event) return false;
        if (*seq < scan_.event_floor) return true;  // left of a file that retention cut through
        ++scan_.events;
        count(*event, scan_.jobs[event->delivery.job].seen);
        if (is_terminal(event->type) && scan_.has_row(event->delivery))
            scan_.ended_rows.push_back(event->delivery);
        return true;
    }

    bool idempotency(std::string_view key, std::string_view value) {
        if (key.starts_with('k')) {
            Reader in(key.substr(1));
            const std::string_view tenant = in.string();
            const std::string_view name = in.string();
            if (!in.finished() || !read_idempotency(tenant, name, value)) return false;
            ++scan_.idempotency_keys;
            keys_.insert(std::string(key));
            return true;
        }
        const auto name = parse_idempotency_expiry_key(key);
        if (!name) return false;
        expiring_.insert(idempotency_key(name->tenant, name->key));
        return true;
    }

    /// Its address is in the key: whatever has become of the rest, nothing is sent there.
    bool suppression(std::string_view key, std::string_view value) {
        const auto name = parse_suppression_key(key);
        if (!name) return false;
        ++scan_.suppressions;
        if (!read_suppression(name->tenant, name->address, value))
            scan_.bad_reasons.emplace_back(key);
        return true;
    }

    rocksdb::DB& db_;
    std::span<rocksdb::ColumnFamilyHandle* const> families_;
    const FsckOptions& options_;
    Scan scan_;
    std::vector<JobId> marked_, large_;  // contents in a blob: their first row, and themselves
    std::set<std::string> keys_, expiring_;
};

}  // namespace

bool Scan::has_row(DeliveryId id) const {
    const auto at =
        std::ranges::lower_bound(rows, id, {}, [](const ScannedRow& row) { return row.key.id; });
    return at != rows.end() && at->key.id == id;
}

bool Scan::tells_all(const ScannedJob& job) const {
    const uint64_t from = std::max(event_floor, events_whole_from);
    return !job.ranges_begin || *job.ranges_begin >= from || from <= 1;
}

bool Scan::events_damaged() const {
    constexpr auto tells = [](Family f) { return f == Family::event || f == Family::meta; };
    return std::ranges::any_of(gaps, tells, &Gap::family) ||
           std::ranges::any_of(bad_records, tells, &std::pair<Family, std::string>::first);
}

void Scan::compare_no_events() {
    events_whole_from =
        std::max({events_whole_from, last_event + 1, event_floor, event_numbers_end});
}

Scan scan(rocksdb::DB& db, std::span<rocksdb::ColumnFamilyHandle* const> families,
          const FsckOptions& options) {
    return Scanner(db, families, options).run();
}

}  // namespace storage
