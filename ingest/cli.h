// The command line of `sluice`: words and options in, one command called.
#pragma once

#include "ingest/config.h"

namespace ingest {

using Serve = int (*)(const Config&);

/// Returns the exit code: 0 done, 1 failed, 2 wrong usage or a wrong configuration. `serve` is the
/// daemon; tests pass another.
int run_command_line(int argc, const char* const* argv, Serve serve);

}  // namespace ingest
