// What the kernel says of this process, under the names that Prometheus client libraries agreed on.
#pragma once

#include <cstdint>

namespace metrics {

/// A value is -1 when the kernel does not tell.
struct ProcessUsage {
    double cpu_seconds = -1;  // user and system
    double resident_bytes = -1;
    double virtual_bytes = -1;
    double start_time_seconds = -1;  // since the epoch
    double threads = -1;
    double open_fds = -1;
    double max_fds = -1;
};
ProcessUsage read_process_usage();

}  // namespace metrics
