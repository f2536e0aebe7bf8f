// Run: one seed from the first job to the last outcome, with what goes wrong in between, and the
// invariants looked at all the way.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "tests/sim/book.h"
#include "tests/sim/plan.h"
#include "tests/sim/world.h"

namespace sim {

struct RunOptions {
    uint64_t seed = 1;
    Weather weather = Weather::rough;
    uint64_t cut_at_sync = 0;  // the power goes at that sync of the log; 0: as the seed says
    bool print = false;        // the whole trace, as it happens
};

struct RunResult {
    uint64_t seed = 0;
    std::optional<Failure> failure;
    std::string last_lines;  // of the trace, when it failed
    uint64_t trace_hash = 0, steps = 0, lines = 0;
    Nanoseconds simulated{};
    Totals totals;
    uint64_t connections = 0, restarts = 0;
    FaultCounts faults{};
    uint64_t log_syncs = 0;
};

RunResult run(const RunOptions& options);
/// The last lines of the trace of the run that is going on; for a process that dies in it.
std::string lines_of_this_run();

}  // namespace sim
