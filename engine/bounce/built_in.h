// The text of deploy/bounce_rules.toml; CMake writes the other half from that file.
#pragma once

namespace engine {

extern const char* const built_in_bounce_rules;

}  // namespace engine
