// A socket address of any family that we use, as a value.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace engine {

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t size = 0;

    int family() const { return storage.ss_family; }
    const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&storage); }
    uint16_t port() const;  // 0 for a Unix socket
    void set_port(uint16_t port);
    std::string ip() const;         // "192.0.2.1", "2001:db8::1"; the path of a Unix socket
    std::string to_string() const;  // "192.0.2.1:25", "[2001:db8::1]:25", "unix:/path"
    bool is_loopback() const;       // Unix sockets are

    static std::optional<SocketAddress> from_ip(std::string_view ip, uint16_t port);
    /// "127.0.0.1:25", "[::1]:25" or "unix:/path".
    static std::optional<SocketAddress> parse(std::string_view text);
};

/// An IP address alone, for whoever keeps many: 17 octets in place of 132.
class IpAddress {
  public:
    explicit IpAddress(const SocketAddress& of);  // IPv4 or IPv6
    SocketAddress with_port(uint16_t port) const;

  private:
    std::array<uint8_t, 16> octets_{};
    bool v6_;
};

}  // namespace engine
