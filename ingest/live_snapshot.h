// What GET /v1/live tells each second: readings of the counters made into rates and percentiles.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "ingest/live_reading.h"

namespace ingest {

/// What is not in the counters.
struct LiveNode {
    std::string name, version;
    std::string state;    // accepting, refusing, draining
    std::string refusal;  // which limit; empty: none
};

/// The newest reading last. Rates are those of the last second, latencies of `seconds_kept`.
using LiveReadings = std::deque<std::shared_ptr<const LiveReading>>;
inline constexpr size_t live_seconds_kept = 10;

/// One JSON object on one line; of one tenant's mail only, or with an empty name of everything.
std::string live_json(const LiveReadings& readings, const LiveNode& node, std::string_view tenant);

/// The time below which `share` of what was counted between two readings lies, by straight lines
/// within buckets; beyond the last bound it is that bound. 0 when nothing was counted.
double percentile(const metrics::Histogram::Reading& before,
                  const metrics::Histogram::Reading& after, metrics::Buckets bounds, double share);

}  // namespace ingest
