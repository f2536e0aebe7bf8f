// LiveReading: what the counters of all shards say at one moment. Taken off the shards, with
// relaxed loads; two of them make rates.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "metrics/metric.h"
#include "storage/store.h"

namespace ingest {

struct LiveReading {
    static constexpr size_t events_looked_at = 400;  // the newest ones
    static constexpr size_t providers_max = 100;     // beyond them there are only sums

    struct Provider {
        uint64_t delivered = 0, deferred = 0, bounced = 0;
        double busy = 0, idle = 0, throttled_seconds = 0;
    };

    storage::WallTime time{};
    uint64_t number = 0;  // counts readings
    storage::Ledger ledger;
    std::map<std::string, Provider> providers;
    std::map<std::string, uint64_t> bounce_classes;
    std::map<std::string, double> connections;  // by state
    double ready = 0, sending = 0, oldest_seconds = 0;
    uint64_t open_rows = 0;
    std::vector<uint64_t> shard_busy_ns;
    double sites_spread = 0;
    metrics::Histogram::Reading latency;  // accepted to 250, of all classes
    metrics::Buckets latency_bounds;
    uint64_t free_bytes = 0, data_bytes = 0;
    std::vector<storage::Event> events;  // in order
};

/// Blocks: for a worker. Without time and number.
LiveReading read_live(std::span<const metrics::Registry* const> registries, storage::Store& store);

}  // namespace ingest
