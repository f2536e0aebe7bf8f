#include "engine/reactor/address.h"

#include <arpa/inet.h>

#include <charconv>
#include <cstddef>
#include <cstring>

namespace engine {

namespace {
const sockaddr_in& v4(const SocketAddress& address) {
    return reinterpret_cast<const sockaddr_in&>(address.storage);
}
const sockaddr_in6& v6(const SocketAddress& address) {
    return reinterpret_cast<const sockaddr_in6&>(address.storage);
}

std::optional<SocketAddress> unix_address(std::string_view path) {
    SocketAddress result;
    auto& local = reinterpret_cast<sockaddr_un&>(result.storage);
    // The path must keep room for its NUL, and a NUL inside would name another socket than what we
    // log.
    if (path.empty() || path.size() >= sizeof local.sun_path) return std::nullopt;
    if (path.find('\0') != std::string_view::npos) return std::nullopt;
    local.sun_family = AF_UNIX;
    std::memcpy(local.sun_path, path.data(), path.size());
    result.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
    return result;
}
}  // namespace

uint16_t SocketAddress::port() const {
    if (family() == AF_INET) return ntohs(v4(*this).sin_port);
    if (family() == AF_INET6) return ntohs(v6(*this).sin6_port);
    return 0;
}

void SocketAddress::set_port(uint16_t port) {
    if (family() == AF_INET) reinterpret_cast<sockaddr_in&>(storage).sin_port = htons(port);
    if (family() == AF_INET6) reinterpret_cast<sockaddr_in6&>(storage).sin6_port = htons(port);
}

std::string SocketAddress::ip() const {
    char text[INET6_ADDRSTRLEN] = "";
    if (family() == AF_INET) inet_ntop(AF_INET, &v4(*this).sin_addr, text, sizeof text);
    if (family() == AF_INET6) inet_ntop(AF_INET6, &v6(*this).sin6_addr, text, sizeof text);
    if (family() != AF_UNIX) return text;
    // The peer of a Unix socket has no name: its address ends behind the family.
    const auto& local = reinterpret_cast<const sockaddr_un&>(storage);
    if (size <= offsetof(sockaddr_un, sun_path)) return {};
    return {local.sun_path, strnlen(local.sun_path, size - offsetof(sockaddr_un, sun_path))};
}

std::string SocketAddress::to_string() const {
    if (family() == AF_INET) return ip() + ":" + std::to_string(port());
    if (family() == AF_INET6) return "[" + ip() + "]:" + std::to_string(port());
    return "unix:" + ip();
}

bool SocketAddress::is_loopback() const {
    if (family() == AF_UNIX) return true;
    if (family() == AF_INET) return ntohl(v4(*this).sin_addr.s_addr) >> 24 == 127;
    if (family() != AF_INET6) return false;
    const in6_addr& address = v6(*this).sin6_addr;
    // ::ffff:127.0.0.1 is the same host by another name.
    if (IN6_IS_ADDR_V4MAPPED(&address)) return address.s6_addr[12] == 127;
    return IN6_IS_ADDR_LOOPBACK(&address);
}

std::optional<SocketAddress> SocketAddress::from_ip(std::string_view ip, uint16_t port) {
    char text[INET6_ADDRSTRLEN];
    if (ip.size() >= sizeof text || ip.find('\0') != std::string_view::npos) return std::nullopt;
    text[ip.copy(text, ip.size())] = '\0';
    SocketAddress result;
    if (auto& four = reinterpret_cast<sockaddr_in&>(result.storage);
        inet_pton(AF_INET, text, &four.sin_addr) == 1) {
        four.sin_family = AF_INET;
        result.size = sizeof four;
    } else if (auto& six = reinterpret_cast<sockaddr_in6&>(result.storage);
               inet_pton(AF_INET6, text, &six.sin6_addr) == 1) {
        six.sin6_family = AF_INET6;
        result.size = sizeof six;
    } else {
        return std::nullopt;
    }
    result.set_port(port);
    return result;
}

std::optional<SocketAddress> SocketAddress::parse(std::string_view text) {
    if (text.starts_with("unix:")) return unix_address(text.substr(5));
    const size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return std::nullopt;
    std::string_view host = text.substr(0, colon);
    const std::string_view digits = text.substr(colon + 1);
    uint16_t port = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
    const bool bracketed = host.starts_with('[') && host.ends_with(']');
    if (bracketed) host = host.substr(1, host.size() - 2);
    // "::1:25" could be an address or an address with a port; only brackets tell.
    if (bracketed != (host.find(':') != std::string_view::npos)) return std::nullopt;
    return from_ip(host, port);
}

IpAddress::IpAddress(const SocketAddress& of) : v6_(of.family() == AF_INET6) {
    if (v6_)
        std::memcpy(octets_.data(), &v6(of).sin6_addr, sizeof(in6_addr));
    else
        std::memcpy(octets_.data(), &v4(of).sin_addr, sizeof(in_addr));
}

SocketAddress IpAddress::with_port(uint16_t port) const {
    SocketAddress address;
    if (v6_) {
        auto& to = reinterpret_cast<sockaddr_in6&>(address.storage);
        to.sin6_family = AF_INET6;
        std::memcpy(&to.sin6_addr, octets_.data(), sizeof to.sin6_addr);
        address.size = sizeof to;
    } else {
        auto& to = reinterpret_cast<sockaddr_in&>(address.storage);
        to.sin_family = AF_INET;
        std::memcpy(&to.sin_addr, octets_.data(), sizeof to.sin_addr);
        address.size = sizeof to;
    }
    address.set_port(port);
    return address;
}

}  // namespace engine
