// Rules that look at several settings at once: who may come in, and whether that is safe.
#pragma once

#include <string_view>

#include "ingest/config.h"

namespace ingest {

/// All problems; `file` is its name in them.
ConfigProblems check_together(const Config& config, std::string_view file);

}  // namespace ingest
