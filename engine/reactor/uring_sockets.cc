// What the reactor keeps per descriptor: arrivals that nobody asked for yet, the armed request, the
// orderly close.
#include <netinet/tcp.h>
#include <unistd.h>

#include <algorithm>

#include "engine/reactor/uring_reactor.h"
#include "metrics/check.h"

namespace engine {

namespace {
void set_option(int fd, int level, int option) {
    const int on = 1;
    // Each of these is a matter of speed or of restarts; a socket without it still works.
    setsockopt(fd, level, option, &on, sizeof on);
}

std::unexpected<Error> close_and_fail(int fd, std::string_view where) {
    Error error = error_of(-errno, where);
    ::close(fd);
    return std::unexpected(std::move(error));
}
}  // namespace

// The sockets are in blocking mode on purpose: the ring never blocks in them, while O_NONBLOCK
// makes some operations answer -EAGAIN where they should wait.
Result<int> UringReactor::open_socket(int family, const SocketAddress* bind_to) {
    const int fd = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return std::unexpected(error_of(-errno, "socket"));
    if (bind_to != nullptr) {
        // The kernel picks the port at connect(), so that one source address can have more than
        // 28,000 connections.
        if (bind_to->port() == 0 && family != AF_UNIX) {
            set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT);
        }
        if (::bind(fd, bind_to->raw(), bind_to->size) < 0) {
            return close_and_fail(fd, "bind to source " + bind_to->to_string());
        }
    }
    Socket& socket = adopt(fd);
    socket.tcp = family == AF_INET || family == AF_INET6;
    if (socket.tcp) set_option(fd, IPPROTO_TCP, TCP_NODELAY);
    return fd;
}

Result<int> UringReactor::listen_on(const SocketAddress& address, int backlog) {
    const int fd = ::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return std::unexpected(error_of(-errno, "socket"));
    const bool tcp = address.family() != AF_UNIX;
    if (tcp) {
        // Not SO_REUSEPORT: a second daemon on the port must be refused, not share its connections.
        set_option(fd, SOL_SOCKET, SO_REUSEADDR);
        set_option(fd, IPPROTO_TCP, TCP_NODELAY);  // accepted sockets inherit it
        if (address.family() == AF_INET6) set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY);
    }
    if (::bind(fd, address.raw(), address.size) < 0) {
        return close_and_fail(fd, "bind to " + address.to_string());
    }
    if (::listen(fd, backlog) < 0) return close_and_fail(fd, "listen on " + address.to_string());
    Socket& socket = adopt(fd);
    socket.tcp = tcp;
    socket.listener = true;
    return fd;
}

Result<SocketAddress> UringReactor::local_address(int fd) const {
    SocketAddress address;
    address.size = sizeof address.storage;
    if (getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.size) < 0) {
        return std::unexpected(error_of(-errno, "getsockname"));
    }
    return address;
}

Result<SocketAddress> UringReactor::peer_address(int fd) const {
    SocketAddress address;
    address.size = sizeof address.storage;
    if (getpeername(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.size) < 0) {
        return std::unexpected(error_of(-errno, "getpeername"));
    }
    return address;
}

std::string_view UringReactor::bytes(const Op& recv) const {
    return pool_.bytes(recv.buffer, static_cast<uint32_t>(std::max(recv.result, 0)));
}

void UringReactor::release(uint16_t buffer) {
    pool_.give(buffer);
}

UringReactor::Socket& UringReactor::socket_of(int fd) {
    const auto index = static_cast<size_t>(fd);
    if (index < sockets_.size() && sockets_[index]) return *sockets_[index];
    return adopt(fd);
}

/// A fresh state for a descriptor that the kernel has just handed out, or that a library opened by
/// itself.
UringReactor::Socket& UringReactor::adopt(int fd) {
    const auto index = static_cast<size_t>(fd);
    if (index >= sockets_.size()) sockets_.resize(index + 1);
    std::unique_ptr<Socket>& place = sockets_[index];
    if (place) {
        // A library (c-ares) opened and closed the former file of this number. Its last poll may
        // still be under way; then the old state dies with the completion.
        CHECK(place->waiter == nullptr && !place->closing && !place->armed,
              "a socket was closed behind the reactor's back");
        if (place->in_flight > 0) {
            place->orphan = true;
            place.release();
        }
    }
    place = std::make_unique<Socket>();
    place->fd = fd;
    return *place;
}

void UringReactor::arm(Socket& socket) {
    if (!socket.listener) {
        // While others wait for buffers, everybody joins the queue behind them.
        if (!starved_.empty()) return starve(socket);
        return arm_receive(socket, true);
    }
    io_uring_sqe& sqe = tagged_sqe(&socket, Tag::socket);
    io_uring_prep_multishot_accept(&sqe, socket.fd, nullptr, nullptr, SOCK_CLOEXEC);
    socket.armed = socket.multishot = true;
    ++socket.in_flight;
}

void UringReactor::arm_receive(Socket& socket, bool multishot) {
    io_uring_sqe& sqe = tagged_sqe(&socket, Tag::socket);
    if (multishot)
        io_uring_prep_recv_multishot(&sqe, socket.fd, nullptr, 0, 0);
    else
        io_uring_prep_recv(&sqe, socket.fd, nullptr, 0, 0);
    sqe.flags |= IOSQE_BUFFER_SELECT;
    sqe.buf_group = BufferPool::group;
    socket.armed = true;
    socket.multishot = multishot;
    ++socket.in_flight;
}

void UringReactor::cancel_receive(Socket& socket) {
    if (socket.cancelling) return;
    socket.cancelling = true;
    io_uring_sqe& sqe = tagged_sqe(nullptr, Tag::ignored);
    io_uring_prep_cancel64(
        &sqe, reinterpret_cast<uint64_t>(&socket) | static_cast<uint64_t>(Tag::socket), 0);
}

void UringReactor::on_arrival(Socket& socket, const io_uring_cqe& cqe) {
    const bool more = (cqe.flags & IORING_CQE_F_MORE) != 0;
    if (!more) {
        socket.armed = socket.cancelling = false;
        --socket.in_flight;
    }
    Arrival arrival{.result = cqe.res};
    if ((cqe.flags & IORING_CQE_F_BUFFER) != 0) {
        arrival.buffer = static_cast<uint16_t>(cqe.flags >> IORING_CQE_BUFFER_SHIFT);
        pool_.take(arrival.buffer);
        if (cqe.res <= 0) pool_.give(arrival.buffer);
    }
    // For a receive this means that the pool is empty; for an accept it is the kernel's own
    // trouble.
    const bool no_buffer = cqe.res == -ENOBUFS && !socket.listener;
    const bool nothing = no_buffer || cqe.res == -ECANCELED || cqe.res == -EINTR;
    if (!nothing) socket.inbox.push_back(arrival);
    if (socket.closing) {
        drop_inbox(socket);
        return finish_close(socket);
    }
    if (!socket.listener && cqe.res == 0) socket.ended = true;
    if (!socket.listener && cqe.res > 0) {
        // Less than a buffer: the peer waits for us, and for our ACK if it has Nagle's algorithm
        // on. A full buffer has more behind it, and such a stream is acknowledged by its volume.
        socket.unacknowledged = socket.tcp && static_cast<uint32_t>(cqe.res) < pool_.buffer_bytes();
    }
    if (socket.waiter != nullptr && !socket.inbox.empty()) deliver(socket);

    if (!socket.armed && socket.waiter != nullptr && !socket.starved) {
        if (no_buffer)
            starve(socket);
        else
            arm(socket);
    }
    const size_t inbox_max = socket.listener ? inbox_accepts_max : inbox_buffers_max;
    const bool hoards = !socket.listener && !starved_.empty();
    if (socket.armed && socket.multishot && (hoards || socket.inbox.size() > inbox_max)) {
        cancel_receive(socket);
    }
}

void UringReactor::deliver(Socket& socket) {
    const Arrival arrival = socket.inbox.front();
    socket.inbox.erase(socket.inbox.begin());
    Op& op = *std::exchange(socket.waiter, nullptr);
    op.buffer = arrival.buffer;
    if (socket.listener && arrival.result >= 0) adopt(arrival.result).tcp = socket.tcp;
    complete(op, arrival.result);
}

void UringReactor::starve(Socket& socket) {
    ++stats_.starvations;
    socket.starved = true;
    starved_.push_back(&socket);
}

/// Receives that found no buffer are tried again in their order, no more of them at a time than
/// there are buffers, and once each: a connection with much to say must not take what the next in
/// the queue waits for.
void UringReactor::feed_starved() {
    if (starved_.empty()) return;
    if (pool_.free() == 0) pool_.grow();
    for (size_t left = std::min<size_t>(starved_.size(), pool_.free()); left > 0; --left) {
        Socket& socket = *starved_.front();
        starved_.pop_front();
        socket.starved = false;
        if (socket.waiter != nullptr && !socket.armed) arm_receive(socket, false);
    }
}

/// Once a turn, for what was received and is not carried back by something sent in the same turn.
void UringReactor::acknowledge() {
    for (const int fd : acks_due_) {
        Socket* socket = sockets_[static_cast<size_t>(fd)].get();
        if (socket == nullptr || !socket->ack_due) continue;
        socket->ack_due = false;
        if (!socket->unacknowledged || socket->closing) continue;
        socket->unacknowledged = false;
        set_option(fd, IPPROTO_TCP, TCP_QUICKACK);
        ++stats_.quickacks;
    }
    acks_due_.clear();
}

void UringReactor::close_socket(int fd) {
    CHECK(fd >= 0, "close of no socket");
    Socket& socket = socket_of(fd);
    CHECK(!socket.closing, "a socket was closed twice");
    socket.closing = true;
    ++closing_;
    if (socket.waiter != nullptr) complete(*std::exchange(socket.waiter, nullptr), -ECANCELED);
    drop_inbox(socket);
    if (socket.starved) {
        socket.starved = false;
        std::erase(starved_, &socket);
    }
    if (socket.in_flight == 0) return finish_close(socket);
    io_uring_sqe& sqe = tagged_sqe(nullptr, Tag::ignored);
    io_uring_prep_cancel_fd(&sqe, fd, IORING_ASYNC_CANCEL_ALL);
}

void UringReactor::drop_inbox(Socket& socket) {
    for (const Arrival& arrival : socket.inbox) {
        if (arrival.result < 0) continue;
        if (socket.listener)
            ::close(arrival.result);
        else if (arrival.result > 0)
            pool_.give(arrival.buffer);
    }
    socket.inbox.clear();
}

void UringReactor::finish_close(Socket& socket) {
    if (socket.in_flight > 0) return;
    io_uring_sqe& sqe = tagged_sqe(nullptr, Tag::ignored);
    io_uring_prep_close(&sqe, socket.fd);
    sqe.flags |= IOSQE_CQE_SKIP_SUCCESS;
    --closing_;
    sockets_[static_cast<size_t>(socket.fd)].reset();
}

}  // namespace engine
