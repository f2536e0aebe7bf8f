// A message for a host that takes less than we have: without octets above 127 where 8BITMIME is not
// offered (RFC 6152), or with them in its body only where SMTPUTF8 is not (RFC 6531). Readers see
// the same; the bytes change, so whoever signs has to sign after this.
#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace engine {

/// Body parts become quoted-printable or base64, whatever is shorter, at any depth; header fields
/// get encoded-words and encoded parameters (RFC 2047, RFC 2231). The error says what cannot be
/// changed, for the bounce: a signed part, an address that is not ASCII, a structure that is
/// broken.
std::expected<std::string, std::string> to_seven_bit(std::string_view message);

/// The same for the message's header alone.
std::expected<std::string, std::string> to_ascii_header(std::string_view message);

}  // namespace engine
