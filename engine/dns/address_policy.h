// Which addresses mail may be sent to. Recipients' domains are chosen by strangers, so an MX that
// leads to loopback, to a private network or to a cloud's metadata service would make the engine
// their hand inside (SSRF).
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/reactor/address.h"

namespace engine {

/// A range of addresses; IPv4 ones as their v4-mapped IPv6 form, so that one comparison serves
/// both.
struct AddressRange {
    std::array<uint8_t, 16> bytes{};
    unsigned bits = 128;
    bool contains(const std::array<uint8_t, 16>& address) const;

    /// "10.0.0.0/8", "fd25::/16", or an address alone. The error says what is wrong with the text
    /// and how to mend it.
    static std::expected<AddressRange, std::string> parse(std::string_view text);
};

/// Ask it about the very address that is connected to, after all look-ups.
class AddressPolicy {
  public:
    AddressPolicy() = default;  // no exceptions
    /// The error names every entry that is wrong, one a line.
    static std::expected<AddressPolicy, std::string> with_exceptions(
        std::span<const std::string> ranges);

    /// Why this address is refused ("it is loopback (127.0.0.0/8)"); nothing when mail may go
    /// there. IPv4 inside v4-mapped, NAT64 and 6to4 addresses is judged as that IPv4 address.
    std::optional<std::string> refusal(const SocketAddress& address) const;

  private:
    std::vector<AddressRange> exceptions_;
};

/// Whether an interface of this machine has a global IPv6 address. Asks the kernel; for start-up.
bool has_global_ipv6();

}  // namespace engine
