// What the codes of a reply alone say of its class, where no rule knows its words.
#pragma once

#include <optional>

#include "engine/bounce/bounce_class.h"
#include "engine/smtp/outcome.h"

namespace engine {

/// By the enhanced code (RFC 3463 and its registry). nullopt: it says nothing ("5.0.0", none).
std::optional<BounceClass> class_of_enhanced(std::string_view enhanced);
/// By what went wrong where no reply did. nullopt: Failure::none.
std::optional<BounceClass> class_of_failure(Failure failure);
/// By the code and where it came: the last resort.
BounceClass class_of_code(uint16_t code, Stage stage);

}  // namespace engine
