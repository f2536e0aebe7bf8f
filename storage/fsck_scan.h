// What fsck has read of a store. Memory grows with jobs (about 150 octets each) and with open
// deliveries (about 60), not with events.
#pragma once

#include <rocksdb/db.h>

#include <map>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "storage/fsck.h"
#include "storage/ledger.h"
#include "storage/patient.h"

namespace storage {

struct ScannedJob {
    bool has_row = false, complete = false, counts_known = false;
    std::string tenant;
    JobCounts counts;                      // of its row
    std::optional<uint64_t> ranges_begin;  // the first event number that it may have
    JobCounts seen;                        // of the events that are kept
    uint64_t rows = 0;                     // open deliveries
    bool content = false;                  // there is one, and all of it can be read
    bool content_damaged = false;
};

struct ScannedRow {
    DeliveryKey key;
    uint32_t attempts = 0;
};

struct Scan {
    std::vector<Gap> gaps;
    std::unordered_map<JobId, ScannedJob> jobs;
    std::vector<ScannedRow> rows;  // by delivery
    std::map<std::string, uint64_t> rows_of_tenant;
    std::unordered_map<QueueId, std::optional<QueueInfo>>
        queues;  // nullopt: no row, or none that fits
    std::map<std::string, JobCounts, std::less<>> ledger;
    std::vector<std::pair<Family, std::string>> bad_records;  // keys of what does not decode
    std::vector<std::string>
        bad_reasons;                     // keys of suppressed addresses whose rest does not decode
    std::vector<DeliveryId> ended_rows;  // rows whose end stands in the events
    std::vector<std::string> unbounded_keys;  // idempotency keys without a row that expires them
    std::vector<JobId> markers_without_content, contents_without_marker;
    uint64_t event_floor = 1, events_whole_from = 1, last_event = 0, contents = 0, events = 0,
             idempotency_keys = 0, suppressions = 0;
    /// Of the last start as it is counted, and the latest that a record is of. A daemon that counts
    /// from one again takes old rows for its own and waits for them for ever.
    uint32_t boot = 0, boot_seen = 0;
    uint64_t event_numbers_end = 1;  // by the jobs' rows no event has this number or a later one

    bool has_row(DeliveryId) const;
    /// All events of the job are kept, so that they can be counted.
    bool tells_all(const ScannedJob&) const;
    /// Of events, or of the family that says from where on they are kept.
    bool events_damaged() const;
    /// None that there are now, and numbers go on behind all that there were.
    void compare_no_events();
};

Scan scan(rocksdb::DB&, std::span<rocksdb::ColumnFamilyHandle* const>, const FsckOptions&);

std::string in_words(const Gap&);
/// Everything that is wrong, in words; equal words are counted together.
std::vector<FsckFinding> findings_of(const Scan&);

}  // namespace storage
