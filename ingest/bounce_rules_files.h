// An operator's files of bounce rules: read when the configuration is.
#pragma once

#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/bounce/bounce_rules.h"

namespace ingest {

/// One file: what is wrong with it, all at once, with its lines.
std::optional<std::string> check_rules_file(const std::string& path);

/// All files together, in front of the built-in rules. Errors: those of all files.
std::expected<std::shared_ptr<const engine::BounceRules>, std::vector<std::string>>
load_bounce_rules(const std::vector<std::string>& paths);

}  // namespace ingest
