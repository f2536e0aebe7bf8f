#include "tests/sim/mutation.h"

namespace sim {

namespace {
std::string current;
}

void set_mutation(std::string name) {
    current = std::move(name);
}
const std::string& mutation() {
    return current;
}
bool mutated(std::string_view name) {
    return current == name;
}

}  // namespace sim
