// Domain names as mail routing may ask for them: checked before any question leaves this host.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace engine {

/// The name in lower case and without its trailing dot, or nothing when it is no host name: 1 to
/// 253 octets, labels of 1 to 63 letters, digits, hyphens (not at the ends) and underscores (real
/// mail hosts have them), last label not all digits (that would be an address).
std::optional<std::string> parse_domain(std::string_view text);

}  // namespace engine
