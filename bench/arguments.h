// What both tools read from their command lines: addresses to listen on or connect to, durations,
// sizes, counts.
#pragma once
#include <sys/socket.h>

#include <chrono>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

/// A value, or one line that says what is wrong with the text and what would be right.
template <class T>
using Parsed = std::expected<T, std::string>;

struct Endpoint {
    sockaddr_storage address{};
    socklen_t length = 0;
    std::string text;  // as a log shows it: "127.60.0.7:2525", "[::1]:2525", "unix:/run/x.sock"

    const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&address); }
    int family() const { return address.ss_family; }
};

/// One endpoint: "127.0.0.1:25", "[::1]:25" or "unix:/path". No names: the tools never ask a
/// resolver.
Parsed<Endpoint> parse_endpoint(std::string_view text);

/// Like parse_endpoint, and "127.60.0.0/24:2525" stands for every address of the block (at most
/// block_addresses_max).
Parsed<std::vector<Endpoint>> parse_endpoints(std::string_view text);
constexpr size_t block_addresses_max = 4096;

/// "250ms", "30s", "5m", "2h"; a bare number is refused, because its unit would be a guess.
Parsed<std::chrono::nanoseconds> parse_duration(std::string_view text);

/// "2048", "2KiB", "50MiB", "1GiB".
Parsed<uint64_t> parse_size(std::string_view text);

}  // namespace bench
