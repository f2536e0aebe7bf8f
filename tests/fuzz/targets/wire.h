// What every mail must be before it goes to the wire, whatever it was made of.
#pragma once
#include <string>
#include <string_view>

#include "engine/message/content.h"

namespace fuzz {

/// CRLF line ends only, one at the end, no line over 998 octets.
void check_wire(std::string_view mail);

/// Renders a content for one recipient, with values that would like to break out of their place,
/// and checks the wire and that no value has made a header field. `source` is what it was made of.
void check_rendering(const engine::Content& content, std::string_view source);

/// A job's origin, the same in every run.
engine::Origin origin();

}  // namespace fuzz
