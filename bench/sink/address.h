// Reading the path of MAIL FROM and RCPT TO (RFC 5321 section 4.1.2), as strictly as the grammar:
// the sink is there to find a client's mistakes, not to be liberal.
#pragma once
#include <optional>
#include <string_view>

namespace sink {

struct Path {
    std::string_view address;     // without the angle brackets; empty for <>
    std::string_view parameters;  // what follows, without the space
};

enum class NonAscii : unsigned char { refused, allowed };

/// Splits "<local@domain> PARAM=1". Nothing: not the grammar (source routes are not accepted
/// either).
std::optional<Path> parse_path(std::string_view text, NonAscii non_ascii);

}  // namespace sink
