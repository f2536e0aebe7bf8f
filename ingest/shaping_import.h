// Traffic shaping of KumoMTA, turned into our configuration.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/config.h"

namespace ingest {

struct ShapingImport {
    std::string toml;  // for [delivery] provider_files; says at its place what was not taken over
    std::vector<std::string> warnings;  // the same, as "shaping.toml:12: …", for people
    size_t providers = 0, domains = 0, rules = 0;
};

/// Reads a shaping file in its TOML form; `file` is its name in warnings. The error: it is no TOML, or
/// has another shape.
std::expected<ShapingImport, ConfigProblem> import_kumo_shaping(std::string_view text,
                                                                std::string_view file);

}  // namespace ingest
