// Listener: accepts connections on a TCP port or a Unix socket.
#pragma once

#include <memory>

#include "engine/net/stream.h"

namespace engine {

class Listener {
  public:
    static constexpr int backlog_default = 1024;

    /// Binds and listens. A Unix socket's file gets mode 0660; one that nobody listens on any more
    /// is replaced. Errors: busy (somebody listens there), unreachable (permission, no such local
    /// address), system; with the address.
    static Result<std::unique_ptr<Listener>> open(Reactor& reactor, SocketAddress address,
                                                  int backlog = backlog_default);
    /// One that somebody else has bound and listens on: systemd, which keeps it when we end. A Unix
    /// socket's file stays, too. Takes the descriptor.
    static Result<std::unique_ptr<Listener>> adopt(Reactor& reactor, int fd);
    /// The same socket for another reactor: whichever is free first accepts. For Unix sockets,
    /// which cannot be bound twice; on TCP let every shard open() its own.
    Result<std::unique_ptr<Listener>> share(Reactor& reactor) const;
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;
    ~Listener();  // no accept may be under way

    /// The next connection's descriptor, to be given to a TcpStream. Waits, with growing pauses,
    /// while the process has no descriptor left. Errors: closed.
    Task<Result<int>> accept();
    void close();  // a waiting accept ends with Errc::closed. Idempotent
    const SocketAddress& address() const { return address_; }  // as bound: with the real port

  private:
    Listener(Reactor& reactor, int fd, SocketAddress address);

    Reactor& reactor_;
    int fd_;
    SocketAddress address_;
    bool owns_path_ = false;  // of a Unix socket: it goes with this listener
    bool accepting_ = false;
    Op operation_;  // the accept or the pause under way
};

/// "192.0.2.1:1234" of an accepted socket; "unix" when the peer has no name.
std::string peer_name(const Reactor& reactor, int fd);

}  // namespace engine
