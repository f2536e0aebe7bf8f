// Which planted bug is on, by name; none in a real run. Only the mutated copies of the engine's
// files (mutate.py) ask.
#pragma once

#include <string>
#include <string_view>

namespace sim {

void set_mutation(std::string name);
const std::string& mutation();
bool mutated(std::string_view name);

}  // namespace sim
