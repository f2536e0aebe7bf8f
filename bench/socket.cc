#include "bench/socket.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace bench {
namespace {

constexpr int backlog = 4096;  // the kernel cuts it to net.core.somaxconn

Socket bound(const Endpoint& endpoint, int type) {
    Socket socket(::socket(endpoint.family(), type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    int on = 1;
    if (endpoint.family() == AF_UNIX) {
        // A path left by a run that was killed; a living server would still hold its lock
        // elsewhere.
        ::unlink(reinterpret_cast<const sockaddr_un*>(&endpoint.address)->sun_path);
    } else {
        setsockopt(socket.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    }
    if (socket.fd() < 0 || ::bind(socket.fd(), endpoint.raw(), endpoint.length) < 0)
        throw std::runtime_error(fmt::format("cannot listen on {}: {}{}", endpoint.text,
                                             std::strerror(errno),
                                             errno == EADDRINUSE ? "; choose another port" : ""));
    return socket;
}

}  // namespace

Socket::~Socket() {
    if (fd_ >= 0) ::close(fd_);
}

Socket& Socket::operator=(Socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
}

Socket listen_on(const Endpoint& endpoint) {
    Socket socket = bound(endpoint, SOCK_STREAM);
    if (::listen(socket.fd(), backlog) < 0)
        throw std::runtime_error(
            fmt::format("cannot listen on {}: {}", endpoint.text, std::strerror(errno)));
    return socket;
}

Socket bind_udp(const Endpoint& endpoint) {
    return bound(endpoint, SOCK_DGRAM);
}

uint16_t local_port(int fd) {
    sockaddr_in6 address{};  // the port stands at the same place in sockaddr_in
    socklen_t length = sizeof address;
    getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
    return ntohs(address.sin6_port);
}

}  // namespace bench
