// Seeds: many runs, in child processes, so that a run which aborts is a failure and not the end, and
// so that crashed nodes, which are kept, do not pile up.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tests/sim/run.h"

namespace sim {

struct SeedsOptions {
    uint64_t first = 1, count = 1;
    bool calm = false;
    bool stop_at_failure = true;
    bool print = false;
};

struct FailedSeed {
    uint64_t seed = 0;
    std::string report;  // for people: what, the last lines of the trace, how to see it again
};

struct SeedsReport {
    uint64_t seeds = 0;
    uint64_t steps = 0, connections = 0, restarts = 0, troubles = 0;
    Nanoseconds simulated{};
    Totals totals;
    std::vector<FailedSeed> failed;
    std::string summary() const;
};

SeedsReport run_seeds(const SeedsOptions& options);

}  // namespace sim
