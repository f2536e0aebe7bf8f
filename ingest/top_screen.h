// The screen of `sluice top`, drawn from snapshots: pure, so that tests can look at it.
#pragma once

#include <deque>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace ingest {

struct Screen {
    size_t columns = 80, rows = 24;
};

/// Lines of exactly `screen.columns` columns or fewer, at most `screen.rows` of them. `jobs` is the
/// answer of /v1/jobs, `delivered` the rates of the last snapshots, the newest last.
std::vector<std::string> top_lines(const nlohmann::ordered_json& snapshot,
                                   const nlohmann::ordered_json& jobs,
                                   const std::deque<double>& delivered, Screen screen);

/// "▁▂▅█": the last `columns` values against the largest of them.
std::string sparkline(const std::deque<double>& values, size_t columns);

}  // namespace ingest
