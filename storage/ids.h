// Ids. The layout of a JobId: 42 bits of milliseconds since 2020-01-01 | 6 bits of shard | 16 bits
// of counter. Ids sort by time, so old jobs lie together on disk and collect() finds them without
// reading the young ones.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "storage/types.h"

namespace storage {

inline constexpr WallTime job_epoch{std::chrono::sys_days{std::chrono::year{2020} / 1 / 1}};
inline constexpr unsigned job_shard_bits = 6;
inline constexpr unsigned job_counter_bits = 16;
inline constexpr unsigned job_time_shift = job_shard_bits + job_counter_bits;

struct JobIdParts {
    WallTime time{};
    uint16_t shard = 0;    // below 2^6
    uint16_t counter = 0;  // within the millisecond
};

/// Times before 2020 count as 2020, so that a clock at 1970 makes small ids and not huge ones.
constexpr JobId make_job_id(JobIdParts parts) {
    const int64_t ms = parts.time < job_epoch ? 0 : (parts.time - job_epoch).count();
    const uint64_t shard = parts.shard & ((1U << job_shard_bits) - 1);
    return JobId{static_cast<uint64_t>(ms) << job_time_shift | shard << job_counter_bits |
                 parts.counter};
}

constexpr JobIdParts parts_of(JobId id) {
    const auto bits = static_cast<uint64_t>(id);
    return {.time = job_epoch + std::chrono::milliseconds(bits >> job_time_shift),
            .shard = static_cast<uint16_t>(bits >> job_counter_bits & ((1U << job_shard_bits) - 1)),
            .counter = static_cast<uint16_t>(bits)};
}

/// As people see them: 13 characters of Crockford's base 32; "<job>-<index>".
std::string to_text(JobId id);
std::string to_text(DeliveryId id);
std::optional<JobId> parse_job_id(std::string_view text);  // small letters, too
std::optional<DeliveryId> parse_delivery_id(std::string_view text);

}  // namespace storage
