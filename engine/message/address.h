// Envelope addresses: what may stand in MAIL FROM and RCPT TO, and where its domain leads.
#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace engine {

/// Checks an envelope address (RFC 5321 4.1.2; RFC 6531 for UTF-8) and splits it.
struct Address {
    std::string local, domain;   // domain: as given
    std::string routing_domain;  // lower case, A-labels, or the literal "[…]"
    bool utf8 = false;           // the local part has octets above 127
};
/// Without '<' and '>', source route, or trailing dot. A quoted local part keeps its quotes.
/// Errors: a sentence for people that quotes nothing of the address.
std::expected<Address, std::string> parse_address(std::string_view text);

/// The checks of parse_address on the form alone, without the domain's translation to A-labels; for
/// rendering.
struct AddressForm {
    std::string_view local, domain;
};
std::expected<AddressForm, std::string> split_address(std::string_view text);

}  // namespace engine
