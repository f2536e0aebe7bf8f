#include "bench/delay/line.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>

namespace delay {
namespace {

constexpr size_t read_octets = 256 * 1024;
constexpr int accepts_a_turn = 64;

void set(int fd, int level, int option) {
    int on = 1;
    setsockopt(fd, level, option, &on, sizeof on);
}

}  // namespace

struct Line::Connection {
    struct Piece {
        enum class Kind : uint8_t { octets, end, reset } kind = Kind::octets;
        std::string octets = {};
    };
    /// One end's socket, and what is on its way to it.
    struct Side {
        bench::Socket socket;
        std::deque<Piece> coming;  // their times are in Line::pieces_, in the same order
        std::string due;           // to be written now
        size_t waiting = 0;        // octets of both
        uint32_t watched = 0;
        bool in_poller = false;
        bool read_to_end = false;  // its own stream has ended, or was reset
        bool end_due = false;      // the other's stream ends behind `due`
        bool shut = false;         // and that has been passed on
    };

    explicit Connection(uint64_t number) : id(number) {}
    Side& at(End end) { return sides[size_t(end)]; }

    uint64_t id;
    std::array<Side, 2> sides;
};

Line::Line(bench::Poller& poller, LineOptions options)
    : poller_(poller),
      options_(std::move(options)),
      listener_(bench::listen_on(options_.listen)),
      timer_(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)) {
    if (timer_.fd() < 0)
        throw std::runtime_error(fmt::format("timerfd_create: {}", std::strerror(errno)));
    poller_.watch(listener_.fd(), EPOLLIN, [this](uint32_t) { on_acceptable(); });
    poller_.watch(timer_.fd(), EPOLLIN, [this](uint32_t) { run_due(); });
}

Line::~Line() {
    poller_.forget(listener_.fd());
    poller_.forget(timer_.fd());
    for (auto& [id, connection] : connections_)
        for (End end : {End::near, End::far}) forget(*connection, end);
}

void Line::on_acceptable() {
    for (int i = 0; i < accepts_a_turn; ++i) {
        bench::Socket socket(
            ::accept4(listener_.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (socket.fd() < 0) break;
        if (connections_.size() >= options_.connections_max) continue;
        set(socket.fd(), IPPROTO_TCP, TCP_NODELAY);
        uint64_t id = ++accepted_;
        auto& connection =
            *connections_.emplace(id, std::make_unique<Connection>(id)).first->second;
        connection.at(End::near).socket = std::move(socket);
        watch_what_is_wanted(connection, End::near);
        dials_.push_back({Clock::now() + 3 * options_.one_way, id});
    }
    arm_timer();
}

void Line::dial(Connection& connection) {
    auto& far = connection.at(End::far);
    far.socket = bench::Socket(
        ::socket(options_.to.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    set(far.socket.fd(), IPPROTO_TCP, TCP_NODELAY);
    // A refusal is seen when the socket is read, like a reset.
    if (::connect(far.socket.fd(), options_.to.raw(), options_.to.length) < 0 &&
        errno != EINPROGRESS)
        return reset(connection);
    watch_what_is_wanted(connection, End::far);
    write(connection, End::far);
}

void Line::on_ready(Connection& connection, End end, uint32_t events) {
    uint64_t id = connection.id;
    if (events & EPOLLOUT) write(connection, end);
    if (!connections_.contains(id)) return;
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) read(connection, end);
}

/// Takes what has come to one end and sends it on its way to the other.
void Line::read(Connection& connection, End end) {
    static std::string buffer(read_octets, '\0');
    auto& from = connection.at(end);
    End towards = end == End::near ? End::far : End::near;
    auto& other = connection.at(towards);
    ssize_t count = ::recv(from.socket.fd(), buffer.data(), buffer.size(), 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count > 0) {
        // The line must not add the kernel's 40 ms of delayed acknowledgement to a sender that
        // waits for it (Nagle).
        set(from.socket.fd(), IPPROTO_TCP, TCP_QUICKACK);
        other.coming.push_back({Connection::Piece::Kind::octets, {buffer.data(), size_t(count)}});
        other.waiting += size_t(count);
    } else {
        bool cut = count < 0;
        if (!cut && from.read_to_end) return;
        from.read_to_end = true;
        other.coming.push_back(
            {cut ? Connection::Piece::Kind::reset : Connection::Piece::Kind::end});
        if (cut) forget(connection, end);
    }
    pieces_.push_back({Clock::now() + options_.one_way, connection.id, towards});
    if (from.in_poller) watch_what_is_wanted(connection, end);
    arm_timer();
}

/// The first of what is on its way to this end has arrived.
void Line::deliver(Connection& connection, End end) {
    auto& side = connection.at(end);
    Connection::Piece piece = std::move(side.coming.front());
    side.coming.pop_front();
    switch (piece.kind) {
        case Connection::Piece::Kind::octets:
            side.due += piece.octets;
            break;
        case Connection::Piece::Kind::end:
            side.end_due = true;
            break;
        case Connection::Piece::Kind::reset:
            return reset(connection);
    }
    if (side.socket.fd() >= 0) write(connection, end);
}

void Line::write(Connection& connection, End end) {
    auto& side = connection.at(end);
    End from = end == End::near ? End::far : End::near;
    while (!side.due.empty()) {
        ssize_t count = ::send(side.socket.fd(), side.due.data(), side.due.size(), MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) break;  // full; or reset, and then reading says so
        side.due.erase(0, size_t(count));
        side.waiting -= size_t(count);
    }
    if (side.due.empty() && side.end_due && !side.shut) {
        side.shut = true;
        ::shutdown(side.socket.fd(), SHUT_WR);
    }
    auto& near = connection.at(End::near);
    auto& far = connection.at(End::far);
    if (near.shut && far.shut) {
        forget(connection, End::near);
        forget(connection, End::far);
        connections_.erase(connection.id);
        return;
    }
    if (side.in_poller) watch_what_is_wanted(connection, end);
    if (connection.at(from).in_poller) watch_what_is_wanted(connection, from);
}

/// Both ends see a reset, and what was still on its way is gone, as on a real line.
void Line::reset(Connection& connection) {
    for (End end : {End::near, End::far}) {
        linger abort{.l_onoff = 1, .l_linger = 0};
        auto& side = connection.at(end);
        if (side.socket.fd() >= 0)
            setsockopt(side.socket.fd(), SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
        forget(connection, end);
    }
    connections_.erase(connection.id);
}

void Line::watch_what_is_wanted(Connection& connection, End end) {
    auto& side = connection.at(end);
    auto& other = connection.at(end == End::near ? End::far : End::near);
    // With both streams ended epoll would report a hang-up for ever.
    if (side.read_to_end && side.shut) return forget(connection, end);
    uint32_t wanted = 0;
    if (!side.read_to_end && other.waiting < waiting_octets_max) wanted |= EPOLLIN;
    if (!side.due.empty()) wanted |= EPOLLOUT;
    if (!side.in_poller) {
        side.in_poller = true;
        poller_.watch(side.socket.fd(), wanted, [this, &connection, end](uint32_t events) {
            on_ready(connection, end, events);
        });
    } else if (wanted != side.watched) {
        poller_.change(side.socket.fd(), wanted);
    }
    side.watched = wanted;
}

void Line::forget(Connection& connection, End end) {
    auto& side = connection.at(end);
    if (side.in_poller) poller_.forget(side.socket.fd());
    side.in_poller = false;
}

void Line::run_due() {
    auto now = Clock::now();
    for (; !dials_.empty() && dials_.front().when <= now; dials_.pop_front()) {
        auto found = connections_.find(dials_.front().connection);
        if (found != connections_.end()) dial(*found->second);
    }
    for (; !pieces_.empty() && pieces_.front().when <= now; now = Clock::now()) {
        Due due = pieces_.front();
        pieces_.pop_front();
        auto found = connections_.find(due.connection);
        if (found == connections_.end()) continue;
        lateness_.add(now - due.when);
        deliver(*found->second, due.towards);
    }
    arm_timer();
}

void Line::arm_timer() {
    auto next = Clock::time_point::max();
    if (!pieces_.empty()) next = std::min(next, pieces_.front().when);
    if (!dials_.empty()) next = std::min(next, dials_.front().when);
    itimerspec when{};  // all zero: disarmed
    if (next != Clock::time_point::max()) {
        // steady_clock is CLOCK_MONOTONIC, and a time that has passed fires at once.
        auto since = next.time_since_epoch();
        auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since);
        when.it_value.tv_sec = seconds.count();
        when.it_value.tv_nsec = (since - seconds).count();
    }
    timerfd_settime(timer_.fd(), TFD_TIMER_ABSTIME, &when, nullptr);
}

}  // namespace delay
