#include "engine/net/listener.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "metrics/check.h"

namespace engine {

namespace {
constexpr std::chrono::milliseconds pause_first = 5ms;
constexpr std::chrono::milliseconds pause_max = 500ms;

/// The peer went away before we accepted it: that concerns one connection only.
bool concerns_one_peer(int result) {
    return result == -ECONNABORTED || result == -EPROTO;
}

/// A socket file outlives a process that was killed. It may go only when a connect proves that
/// nobody listens; anything else with that name is somebody's property.
Result<void> remove_stale_socket(const SocketAddress& address) {
    const std::string path = address.ip();
    struct stat status{};
    if (lstat(path.c_str(), &status) < 0) return {};
    if (!S_ISSOCK(status.st_mode)) {
        return failure(Errc::busy,
                       path + " exists and is not a socket; remove it or choose another path");
    }
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return std::unexpected(error_of(-errno, "socket"));
    const int os = ::connect(fd, address.raw(), address.size) == 0 ? 0 : errno;
    ::close(fd);
    if (os != ECONNREFUSED) {
        return failure(Errc::busy, "another process listens on " + address.to_string(), os);
    }
    if (::unlink(path.c_str()) < 0 && errno != ENOENT) {
        return std::unexpected(error_of(-errno, "unlink the stale socket " + path));
    }
    return {};
}
}  // namespace

Listener::Listener(Reactor& reactor, int fd, SocketAddress address)
    : reactor_(reactor), fd_(fd), address_(address) {}

Result<std::unique_ptr<Listener>> Listener::open(Reactor& reactor, SocketAddress address,
                                                 int backlog) {
    const bool local = address.family() == AF_UNIX;
    if (local) {
        if (auto removed = remove_stale_socket(address); !removed) {
            return std::unexpected(std::move(removed).error());
        }
    }
    auto fd = reactor.listen_on(address, backlog);
    if (!fd) return std::unexpected(std::move(fd).error());
    std::unique_ptr<Listener> listener(new Listener(reactor, *fd, address));
    if (local) {
        listener->owns_path_ = true;
        if (::chmod(address.ip().c_str(), 0660) < 0) {
            return std::unexpected(error_of(-errno, "chmod of " + address.ip()));
        }
        return listener;
    }
    auto bound = reactor.local_address(*fd);
    if (!bound) return std::unexpected(std::move(bound).error());
    listener->address_ = *bound;
    return listener;
}

Result<std::unique_ptr<Listener>> Listener::adopt(Reactor& reactor, int fd) {
    auto bound = reactor.local_address(fd);
    if (!bound) return std::unexpected(std::move(bound).error());
    const int on = 1;  // accepted sockets inherit it
    if (bound->family() != AF_UNIX) ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return std::unique_ptr<Listener>(new Listener(reactor, fd, *bound));
}

Result<std::unique_ptr<Listener>> Listener::share(Reactor& reactor) const {
    const int fd = ::fcntl(fd_, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) return std::unexpected(error_of(-errno, "dup of " + address_.to_string()));
    return std::unique_ptr<Listener>(new Listener(reactor, fd, address_));
}

Listener::~Listener() {
    CHECK(!accepting_, "a listener was destroyed while a task accepts");
    close();
}

void Listener::close() {
    if (fd_ < 0) return;
    if (owns_path_) ::unlink(address_.ip().c_str());
    if (accepting_) reactor_.cancel(operation_);
    reactor_.close_socket(std::exchange(fd_, -1));
}

Task<Result<int>> Listener::accept() {
    CHECK(!accepting_, "two tasks accept on one listener");
    auto pause = pause_first;
    while (fd_ >= 0) {
        operation_ = Op{.kind = Op::Kind::accept, .fd = fd_};
        accepting_ = true;
        const int result = co_await perform(reactor_, operation_);
        accepting_ = false;
        if (result >= 0) {
            // It came, but we are closing: nobody will serve it.
            if (fd_ >= 0) co_return result;
            reactor_.close_socket(result);
            break;
        }
        if (concerns_one_peer(result)) continue;
        // No descriptor is left, most likely. The connection stays in the backlog; asking again at
        // once would spin.
        operation_ = Op{.kind = Op::Kind::sleep, .deadline = reactor_.now() + pause};
        accepting_ = true;
        co_await perform(reactor_, operation_);
        accepting_ = false;
        pause = std::min(pause * 2, pause_max);
    }
    co_return failure(Errc::closed, "accept: the listener is closed");
}

std::string peer_name(const Reactor& reactor, int fd) {
    const auto peer = reactor.peer_address(fd);
    if (!peer) return "unknown";
    if (peer->family() == AF_UNIX) return "unix";
    return peer->to_string();
}

}  // namespace engine
