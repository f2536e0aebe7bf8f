// Keys of the column families. Big-endian, so that RocksDB's byte order is the order of the
// numbers.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "storage/types.h"

namespace storage {

// delivery: queue id, due, job, index
inline constexpr size_t delivery_key_bytes = 36;
inline constexpr size_t queue_key_bytes = 16;
std::string delivery_key(const DeliveryKey&);
std::optional<DeliveryKey> parse_delivery_key(std::string_view);

// queue: the queue id; also the prefix of its rows in the delivery family
std::string queue_key(QueueId);
std::optional<QueueId> parse_queue_key(std::string_view);
/// The first key behind every key that starts with `prefix`; empty when there is none (all octets
/// are 0xff).
std::string behind_prefix(std::string_view prefix);

// event: sequence. job: id.
std::string number_key(uint64_t);
std::optional<uint64_t> parse_number_key(std::string_view);

// content: 0, job: the content itself, or a note that it is large. 1, job: a large content, in a
// blob file. Two ranges, because an iterator that lands on a blob reads it: looking for orphans
// walks the first range only.
std::string content_key(JobId);
std::string large_content_key(JobId);

// idempotency: 'k', tenant, key: the record. 't', expiry, tenant, key: nothing; the order in which
// they expire.
std::string idempotency_key(std::string_view tenant, std::string_view key);
std::string idempotency_expiry_key(const IdempotencyRecord&);
std::string idempotency_expiry_bound(
    WallTime);  // above every row that expires at or before that time
inline constexpr std::string_view idempotency_expiry_begin = "t";
struct IdempotencyName {
    WallTime expires{};
    std::string tenant, key;
};
std::optional<IdempotencyName> parse_idempotency_expiry_key(std::string_view);

// suppression: tenant, address.
std::string suppression_prefix(std::string_view tenant);
std::string suppression_key(std::string_view tenant, std::string_view address);
struct SuppressionName {
    std::string tenant, address;
};
std::optional<SuppressionName> parse_suppression_key(std::string_view);

// meta
inline constexpr std::string_view meta_boot = "boot";
inline constexpr std::string_view meta_event_floor =
    "event_floor";  // first seq that collect() kept
inline constexpr std::string_view meta_job_floor =
    "job_floor";  // highest job id that collect() has seen
inline constexpr std::string_view meta_events_whole_from =
    "events_whole_from";  // earlier ones were damaged: fsck does not compare counts with them
inline constexpr std::string_view meta_ledger = "ledger/";  // + tenant
inline constexpr std::string_view meta_note = "note/";      // + kind, '/', name
std::string note_key(std::string_view kind, std::string_view name);

}  // namespace storage
