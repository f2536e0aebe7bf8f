// From TOML text to settings, guided by the table in ingest/setting.h.
#pragma once

#include <string_view>

#include "ingest/config.h"

namespace ingest {

/// The origin of values that no file set.
inline constexpr std::string_view default_origin = "default";

/// Sets in `config` what the text sets and returns all problems in the order of the text; a text
/// that is no TOML has only one. `file` is its name in problems and origins. With problems,
/// `config` is of no use.
ConfigProblems read_settings(Config& config, std::string_view text, std::string_view file);

}  // namespace ingest
