// The daemon: `sluice serve`.
#pragma once

#include "ingest/config.h"

namespace ingest {

/// Runs until SIGTERM or SIGINT has been obeyed. Returns the exit code: 0 after an orderly stop, 1
/// when it could not start; one line on stderr says why and what to do.
int serve(const Config& config);

}  // namespace ingest
