#include "bench/arguments.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <array>
#include <charconv>
#include <cstring>
#include <utility>

namespace bench {
namespace {

template <class T>
bool whole_number(std::string_view text, T& value) {
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size();
}

Parsed<Endpoint> unix_endpoint(std::string_view path) {
    sockaddr_un address{};
    if (path.empty() || path.size() >= sizeof address.sun_path)
        return std::unexpected(fmt::format("unix:{}: the path must have 1 to {} octets", path,
                                           sizeof address.sun_path - 1));
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    Endpoint endpoint{.length = sizeof address, .text = fmt::format("unix:{}", path)};
    std::memcpy(&endpoint.address, &address, sizeof address);
    return endpoint;
}

Endpoint ipv4_endpoint(uint32_t host, uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(host);
    Endpoint endpoint{.length = sizeof address};
    std::memcpy(&endpoint.address, &address, sizeof address);
    std::array<char, INET_ADDRSTRLEN> text{};
    inet_ntop(AF_INET, &address.sin_addr, text.data(), text.size());
    endpoint.text = fmt::format("{}:{}", text.data(), port);
    return endpoint;
}

}  // namespace

Parsed<Endpoint> parse_endpoint(std::string_view text) {
    auto endpoints = parse_endpoints(text);
    if (!endpoints) return std::unexpected(endpoints.error());
    if (endpoints->size() != 1)
        return std::unexpected(fmt::format("{}: one address is wanted here, not a block", text));
    return std::move(endpoints->front());
}

Parsed<std::vector<Endpoint>> parse_endpoints(std::string_view text) {
    constexpr std::string_view forms =
        "write 127.0.0.1:2525, 127.60.0.0/24:2525, [::1]:2525 or unix:/path";
    if (text.starts_with("unix:")) {
        auto endpoint = unix_endpoint(text.substr(5));
        if (!endpoint) return std::unexpected(endpoint.error());
        return std::vector{std::move(*endpoint)};
    }
    size_t colon = text.rfind(':');
    uint16_t port = 0;
    if (colon == std::string_view::npos || !whole_number(text.substr(colon + 1), port))
        return std::unexpected(fmt::format("{}: no port; {}", text, forms));
    std::string host(text.substr(0, colon));
    if (host.starts_with('[') && host.ends_with(']')) {
        sockaddr_in6 address{};
        address.sin6_family = AF_INET6;
        address.sin6_port = htons(port);
        if (inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &address.sin6_addr) != 1)
            return std::unexpected(fmt::format("{}: not an IPv6 address; {}", text, forms));
        Endpoint endpoint{.length = sizeof address, .text = std::string(text)};
        std::memcpy(&endpoint.address, &address, sizeof address);
        return std::vector{std::move(endpoint)};
    }
    unsigned prefix = 32;
    if (size_t slash = host.find('/'); slash != std::string::npos) {
        if (!whole_number(std::string_view(host).substr(slash + 1), prefix) || prefix > 32)
            return std::unexpected(fmt::format("{}: the prefix must be 0 to 32; {}", text, forms));
        host.resize(slash);
    }
    in_addr first{};
    if (inet_pton(AF_INET, host.c_str(), &first) != 1)
        return std::unexpected(fmt::format("{}: not an IPv4 address; {}", text, forms));
    uint64_t count = uint64_t{1} << (32 - prefix);
    if (count > block_addresses_max)
        return std::unexpected(fmt::format("{}: {} addresses; a block may have at most {} (/20)",
                                           text, count, block_addresses_max));
    uint32_t base = prefix == 0 ? 0 : ntohl(first.s_addr) & ~uint32_t(count - 1);
    std::vector<Endpoint> endpoints;
    endpoints.reserve(count);
    for (uint32_t i = 0; i < count; ++i) endpoints.push_back(ipv4_endpoint(base + i, port));
    return endpoints;
}

Parsed<std::chrono::nanoseconds> parse_duration(std::string_view text) {
    static constexpr std::array<std::pair<std::string_view, int64_t>, 5> units{
        {{"us", 1'000},
         {"ms", 1'000'000},
         {"s", 1'000'000'000},
         {"m", 60'000'000'000},
         {"h", 3'600'000'000'000}}};
    constexpr uint64_t hours_max = 1'000;  // keeps the product far from overflow
    for (auto [unit, nanoseconds] : units) {
        uint64_t count = 0;
        if (!text.ends_with(unit) ||
            !whole_number(text.substr(0, text.size() - unit.size()), count))
            continue;
        if (count > hours_max * 3'600'000'000'000 / uint64_t(nanoseconds)) break;
        return std::chrono::nanoseconds(int64_t(count) * nanoseconds);
    }
    return std::unexpected(fmt::format("{}: not a duration; write 250ms, 30s, 5m or 2h", text));
}

Parsed<uint64_t> parse_size(std::string_view text) {
    static constexpr std::array<std::pair<std::string_view, unsigned>, 4> units{
        {{"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"", 0}}};
    for (auto [unit, shift] : units) {
        uint64_t count = 0;
        if (!text.ends_with(unit) ||
            !whole_number(text.substr(0, text.size() - unit.size()), count))
            continue;
        if (count > (UINT64_MAX >> shift)) break;
        return count << shift;
    }
    return std::unexpected(fmt::format("{}: not a size; write 2048, 2KiB, 50MiB or 1GiB", text));
}

}  // namespace bench
