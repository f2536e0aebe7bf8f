// Seeds: many runs, in child processes, so that a run which aborts is a failure and not the end,
// and so that crashed nodes, which are kept, do not pile up.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/sim/run.h"

namespace sim {

struct SeedsOptions {
    uint64_t first = 1, count = 1;
    Weather weather = Weather::rough;
    bool stop_at_failure = true;
    bool print = false;
    unsigned jobs = 1;  // child processes at a time
    /// A power cut each at the log's syncs `first`, `first + stride`, … of the run of this one
    /// seed, `count` of them, in place of seeds; 0: seeds.
    uint64_t cuts_of_seed = 0, stride = 1;
};

struct FailedSeed {
    uint64_t seed = 0;   // or the sync
    std::string report;  // for people: what, the last lines of the trace, how to see it again
};

struct SeedsReport {
    uint64_t seeds = 0;
    uint64_t steps = 0, connections = 0, restarts = 0, log_syncs = 0;
    uint64_t trace_hashes = 0;  // their sum
    FaultCounts faults{};
    Nanoseconds simulated{};
    Totals totals;
    std::vector<FailedSeed> failed;
    std::string summary() const;
    std::string describe_faults() const;
};

SeedsReport run_seeds(const SeedsOptions& options);

/// A run of 2,000 mails without a cut tells how often its log is synced; then the power is cut at
/// each `stride`-th of these, from `first` on.
SeedsReport run_power_cuts(uint64_t seed, uint64_t first, uint64_t stride, unsigned jobs);

}  // namespace sim
