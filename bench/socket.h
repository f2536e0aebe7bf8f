// Making listening sockets; errors name the address and what to do.
#pragma once
#include "bench/arguments.h"

namespace bench {

/// A descriptor that is closed with its owner.
class Socket {
  public:
    Socket() = default;
    explicit Socket(int fd) : fd_(fd) {}
    ~Socket();
    Socket(Socket&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
    Socket& operator=(Socket&& other) noexcept;

    int fd() const { return fd_; }

  private:
    int fd_ = -1;
};

/// A non-blocking listener. Throws std::runtime_error: the address and why it cannot be had.
Socket listen_on(const Endpoint& endpoint);

/// A non-blocking UDP socket. Throws like listen_on.
Socket bind_udp(const Endpoint& endpoint);

/// The port that the kernel chose for port 0.
uint16_t local_port(int fd);

}  // namespace bench
