#include "engine/dns/address_policy.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <ifaddrs.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace engine {

namespace {

using Bytes = std::array<uint8_t, 16>;

struct Special {
    const char* range;
    const char* what;
};

// The IANA special-purpose registries (RFC 6890 and later), less what is globally reachable.
constexpr Special special_v4[] = {
    {"0.0.0.0/8", "unspecified or \"this network\""},
    {"10.0.0.0/8", "private"},
    {"100.64.0.0/10", "shared by carriers"},
    {"127.0.0.0/8", "loopback"},
    {"169.254.0.0/16", "link-local"},  // clouds answer their metadata here
    {"172.16.0.0/12", "private"},
    {"192.0.0.0/24", "reserved for protocols"},
    {"192.0.2.0/24", "for documentation"},
    {"192.88.99.0/24", "the withdrawn 6to4 relay"},
    {"192.168.0.0/16", "private"},
    {"198.18.0.0/15", "for benchmarks"},
    {"198.51.100.0/24", "for documentation"},
    {"203.0.113.0/24", "for documentation"},
    {"224.0.0.0/4", "multicast"},
    {"240.0.0.0/4", "reserved or broadcast"},
};
// For words only where a range lies outside 2000::/3: nothing outside it is global unicast, so all
// of it is refused.
constexpr Special special_v6[] = {
    {"::/128", "unspecified"},
    {"::1/128", "loopback"},
    {"fe80::/10", "link-local"},
    {"fc00::/7", "unique local (private)"},
    {"fec0::/10", "site-local (private)"},
    {"ff00::/8", "multicast"},
    {"2001::/23", "reserved for protocols"},  // Teredo, benchmarks, ORCHID
    {"2001:db8::/32", "for documentation"},
    {"3fff::/20", "for documentation"},
};

struct NamedRange {
    AddressRange range;
    const Special* special;
};

template <size_t n>
std::vector<NamedRange> named(const Special (&table)[n]) {
    std::vector<NamedRange> ranges;
    for (const Special& special : table) {
        ranges.push_back({AddressRange::parse(special.range).value(), &special});
    }
    return ranges;
}

constexpr Bytes mapped_prefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

Bytes mapped(const uint8_t* v4) {
    Bytes bytes = mapped_prefix;
    std::memcpy(bytes.data() + 12, v4, 4);
    return bytes;
}

bool is_mapped(const Bytes& bytes) {
    return std::memcmp(bytes.data(), mapped_prefix.data(), 12) == 0;
}

/// The IPv4 address that a translator or tunnel would reach, as v4-mapped; otherwise the address
/// itself.
Bytes unwrapped(const Bytes& bytes) {
    static constexpr uint8_t nat64[12] = {0, 0x64, 0xff, 0x9b};  // 64:ff9b::/96, RFC 6052
    if (std::memcmp(bytes.data(), nat64, 12) == 0) return mapped(bytes.data() + 12);
    if (bytes[0] == 0x20 && bytes[1] == 0x02)
        return mapped(bytes.data() + 2);  // 2002::/16, RFC 3056
    return bytes;
}

std::optional<Bytes> bytes_of(const SocketAddress& address) {
    if (address.family() == AF_INET) {
        sockaddr_in v4{};
        std::memcpy(&v4, &address.storage, sizeof v4);
        return mapped(reinterpret_cast<const uint8_t*>(&v4.sin_addr));
    }
    if (address.family() == AF_INET6) {
        sockaddr_in6 v6{};
        std::memcpy(&v6, &address.storage, sizeof v6);
        Bytes bytes;
        std::memcpy(bytes.data(), &v6.sin6_addr, 16);
        return bytes;
    }
    return std::nullopt;
}

}  // namespace

bool AddressRange::contains(const Bytes& address) const {
    const unsigned whole = bits / 8;
    if (std::memcmp(bytes.data(), address.data(), whole) != 0) return false;
    if (bits % 8 == 0) return true;
    const auto mask = static_cast<uint8_t>(0xff << (8 - bits % 8));
    return (bytes[whole] & mask) == (address[whole] & mask);
}

std::expected<AddressRange, std::string> AddressRange::parse(std::string_view text) {
    const size_t slash = text.find('/');
    const std::string ip(text.substr(0, slash));
    AddressRange range;
    unsigned family_bits = 128;
    if (in_addr v4{}; inet_pton(AF_INET, ip.c_str(), &v4) == 1) {
        range.bytes = mapped(reinterpret_cast<const uint8_t*>(&v4));
        family_bits = 32;
    } else if (inet_pton(AF_INET6, ip.c_str(), range.bytes.data()) != 1) {
        return std::unexpected(fmt::format(
            "'{}' is no IP address or range; write it like \"10.1.0.0/16\" or \"fd25::1\"", text));
    }
    unsigned prefix = family_bits;
    if (slash != std::string_view::npos) {
        const std::string_view digits = text.substr(slash + 1);
        const auto [end, error] =
            std::from_chars(digits.data(), digits.data() + digits.size(), prefix);
        if (error != std::errc{} || end != digits.data() + digits.size() || prefix > family_bits) {
            return std::unexpected(
                fmt::format("'{}' has a wrong prefix length; after the slash comes 0 to {}", text,
                            family_bits));
        }
    }
    range.bits = prefix + (128 - family_bits);
    // Bits beyond the prefix are a slip more often than meant: 127.60.0.1/15 allows far more than
    // it looks like.
    AddressRange floor = range;
    for (unsigned bit = range.bits; bit < 128; ++bit) {
        floor.bytes[bit / 8] &= static_cast<uint8_t>(~(0x80u >> (bit % 8)));
    }
    if (floor.bytes != range.bytes) {
        return std::unexpected(
            fmt::format("'{}' has bits set beyond its prefix length; clear them, or write the "
                        "address without /{}",
                        text, prefix));
    }
    return range;
}

std::expected<AddressPolicy, std::string> AddressPolicy::with_exceptions(
    std::span<const std::string> ranges) {
    AddressPolicy policy;
    std::string errors;
    for (const std::string& text : ranges) {
        if (auto range = AddressRange::parse(text)) {
            policy.exceptions_.push_back(*range);
        } else {
            errors += (errors.empty() ? "" : "\n") + range.error();
        }
    }
    if (!errors.empty()) return std::unexpected(std::move(errors));
    return policy;
}

std::optional<std::string> AddressPolicy::refusal(const SocketAddress& address) const {
    static const std::vector<NamedRange> refused_v4 = named(special_v4);
    static const std::vector<NamedRange> refused_v6 = named(special_v6);

    const auto raw = bytes_of(address);
    if (!raw) return "it is not an IP address";
    const Bytes bytes = unwrapped(*raw);
    const auto allowed = [&](const AddressRange& range) {
        return range.contains(bytes) || range.contains(*raw);
    };
    if (std::ranges::any_of(exceptions_, allowed)) return std::nullopt;

    const bool v4 = is_mapped(bytes);
    for (const NamedRange& named : v4 ? refused_v4 : refused_v6) {
        if (named.range.contains(bytes)) {
            return fmt::format("it is {} ({})", named.special->what, named.special->range);
        }
    }
    if (!v4 && (bytes[0] & 0xe0) != 0x20) return "it is not global unicast (2000::/3)";
    return std::nullopt;
}

bool has_global_ipv6() {
    ifaddrs* all = nullptr;
    if (getifaddrs(&all) != 0) return false;
    bool found = false;
    for (const ifaddrs* one = all; one != nullptr && !found; one = one->ifa_next) {
        if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != AF_INET6) continue;
        SocketAddress address;
        std::memcpy(&address.storage, one->ifa_addr, sizeof(sockaddr_in6));
        address.size = sizeof(sockaddr_in6);
        found = !AddressPolicy().refusal(address);
    }
    freeifaddrs(all);
    return found;
}

}  // namespace engine
