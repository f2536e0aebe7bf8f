#include "bench/sink/server.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace sink {
namespace {

constexpr size_t read_octets = 128 * 1024;
constexpr size_t waiting_octets_max = 64 * 1024;  // of replies; while more wait nothing is read
constexpr int accepts_a_turn = 64;
constexpr std::chrono::milliseconds idle_check_interval{500};
constexpr std::chrono::seconds linger{5};  // for the client's close after our last reply

}  // namespace

struct Server::Connection {
    Connection(Shared& shared, bench::Socket with, size_t from)
        : socket(std::move(with)), listener(from), session(shared) {}

    struct Delayed {
        Clock::time_point when;
        size_t octets;
    };

    bench::Socket socket;
    size_t listener;
    Session session;
    uint64_t generation = 0;
    std::string input;    // not consumed yet: the head of a command, or what waits behind a hold
    std::string replies;  // not written yet
    size_t writable = 0;  // octets of replies whose time has come; all of them without a delay
    std::deque<Delayed> delayed;
    Clock::time_point active;
    uint32_t watched = EPOLLIN;
    bool stalled = false;    // the session waits for its replies to be gone, and input waits for it
    bool holding = false;    // the reply to a message waits for its time
    bool closing = false;    // after the last reply
    bool cut = false;        // without waiting for the client
    bool shut_down = false;  // our side is closed; waiting for theirs
    bool gone = false;

    int fd() const { return socket.fd(); }
};

Server::Server(bench::Poller& poller, Shared& shared, ServerOptions options)
    : poller_(poller),
      shared_(shared),
      options_(std::move(options)),
      next_idle_check_(Clock::now()),
      buffer_(read_octets) {
    shared_.policy.final_delay = options_.final_delay.count() > 0;
    for (const auto& endpoint : options_.listen) listeners_.push_back({bench::listen_on(endpoint)});
    for (size_t i = 0; i < listeners_.size(); ++i)
        poller_.watch(listeners_[i].socket.fd(), EPOLLIN,
                      [this, i](uint32_t) { on_acceptable(i); });
}

Server::~Server() {
    for (const Listener& listener : listeners_) poller_.forget(listener.socket.fd());
    for (const auto& connection : connections_) {
        if (connection) poller_.forget(connection->fd());
    }
}

uint16_t Server::port() const {
    return bench::local_port(listeners_.front().socket.fd());
}

std::chrono::milliseconds Server::run_due() {
    closed_.clear();
    auto now = Clock::now();
    while (!due_writes_.empty() && due_writes_.front().when <= now) {
        Connection* connection = find(due_writes_.front());
        due_writes_.pop_front();
        if (connection) on_write_due(*connection);
    }
    while (!due_finals_.empty() && due_finals_.front().when <= now) {
        Connection* connection = find(due_finals_.front());
        due_finals_.pop_front();
        if (connection) on_final_due(*connection);
    }
    if (now >= next_idle_check_) {
        next_idle_check_ = now + idle_check_interval;
        close_idle();
    }
    auto next = next_idle_check_;
    if (!due_writes_.empty()) next = std::min(next, due_writes_.front().when);
    if (!due_finals_.empty()) next = std::min(next, due_finals_.front().when);
    return std::max(std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now()),
                    std::chrono::milliseconds(0));
}

void Server::on_acceptable(size_t index) {
    for (int i = 0; i < accepts_a_turn; ++i) {
        bench::Socket socket(::accept4(listeners_[index].socket.fd(), nullptr, nullptr,
                                       SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (socket.fd() < 0) return;
        if (shared_.tally.connections_open >= options_.connections_max) {
            ++shared_.tally.connections_refused;
            continue;
        }
        open(std::move(socket), index);
    }
}

void Server::open(bench::Socket socket, size_t listener) {
    int fd = socket.fd();
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (size_t(fd) >= connections_.size()) connections_.resize(size_t(fd) + 1);
    connections_[size_t(fd)] = std::make_unique<Connection>(shared_, std::move(socket), listener);
    Connection& connection = *connections_[size_t(fd)];
    connection.generation = ++generation_;
    connection.active = Clock::now();
    ++shared_.tally.connections_open;
    uint64_t ordinal = shared_.tally.connections_opened++;
    size_t open_here = ++listeners_[listener].open;
    poller_.watch(fd, EPOLLIN,
                  [this, &connection](uint32_t events) { on_ready(connection, events); });
    if (options_.connections_per_address > 0 && open_here > options_.connections_per_address) {
        ++shared_.tally.connections_refused;
        ++shared_.tally.reply(Stage::connect, 421);
        connection.replies = "421 4.7.0 too many connections to this address\r\n";
        apply(connection, Session::Next::close);
    } else {
        apply(connection, connection.session.greet(ordinal, connection.replies));
    }
    send_replies(connection);
}

void Server::on_ready(Connection& connection, uint32_t events) {
    if (connection.gone) return;
    if (!connection.shut_down) connection.active = Clock::now();
    if (events & EPOLLOUT) send_replies(connection);
    if (!connection.gone && (events & (EPOLLIN | EPOLLHUP | EPOLLERR))) on_readable(connection);
}

void Server::on_readable(Connection& connection) {
    ssize_t count = ::recv(connection.fd(), buffer_.data(), buffer_.size(), 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count <= 0) return close(connection);
    if (connection.closing)
        return;  // said behind our last reply: read, so that the reply is not lost to a reset
    run_session(connection, {buffer_.data(), size_t(count)});
    send_replies(connection);
}

/// Feeds the session what waits and what came; what it leaves waits on.
void Server::run_session(Connection& connection, std::string_view fresh) {
    if (connection.holding) {
        connection.input.append(fresh);
        return;
    }
    bool waited = !connection.input.empty();
    if (waited) connection.input.append(fresh);
    std::string_view input = waited ? std::string_view(connection.input) : fresh;
    size_t offered = input.size();
    Session::Next next = connection.session.feed(input, connection.replies);
    connection.stalled = !input.empty() && next == Session::Next::read &&
                         connection.replies.size() >= Session::replies_octets_max;
    if (waited) {
        connection.input.erase(0, offered - input.size());
    } else {
        connection.input.assign(input);
    }
    apply(connection, next);
}

void Server::apply(Connection& connection, Session::Next next) {
    switch (next) {
        case Session::Next::read:
            return;
        case Session::Next::hold:
            connection.holding = true;
            due_finals_.push_back(
                {Clock::now() + options_.final_delay, connection.fd(), connection.generation});
            return;
        case Session::Next::close:
            connection.closing = true;
            return;
        case Session::Next::cut:
            connection.closing = connection.cut = true;
            return;
    }
}

/// Writes the replies whose time has come; with a delay, first gives the fresh ones theirs.
void Server::send_replies(Connection& connection) {
    if (connection.gone) return;
    if (options_.delay.count() == 0) {
        connection.writable = connection.replies.size();
    } else {
        size_t timed = connection.writable;
        for (const auto& delayed : connection.delayed) timed += delayed.octets;
        if (timed < connection.replies.size()) {
            auto when = Clock::now() + options_.delay;
            connection.delayed.push_back({when, connection.replies.size() - timed});
            due_writes_.push_back({when, connection.fd(), connection.generation});
        }
    }
    while (connection.writable > 0) {
        ssize_t count =
            ::send(connection.fd(), connection.replies.data(), connection.writable, MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 && errno == EAGAIN) break;
        if (count < 0) return close(connection);
        connection.replies.erase(0, size_t(count));
        connection.writable -= size_t(count);
    }
    // What was answered before a cut still arrives: a message counted as accepted is one the client
    // knows of.
    if (connection.cut && connection.replies.empty()) return close(connection);
    if (connection.closing && !connection.shut_down && connection.replies.empty()) {
        connection.shut_down = true;
        ::shutdown(connection.fd(), SHUT_WR);
    }
    // A session stops when it has made enough replies; with those gone it may go on with what
    // waits.
    if (connection.stalled && connection.replies.empty()) {
        run_session(connection, {});
        if (!connection.gone && !connection.replies.empty()) return send_replies(connection);
    }
    if (!connection.gone) watch_what_is_wanted(connection);
}

void Server::on_write_due(Connection& connection) {
    connection.writable += connection.delayed.front().octets;
    connection.delayed.pop_front();
    send_replies(connection);
}

void Server::on_final_due(Connection& connection) {
    connection.holding = false;
    connection.active = Clock::now();
    apply(connection, connection.session.release(connection.replies));
    if (!connection.gone && !connection.closing) run_session(connection, {});
    send_replies(connection);
}

void Server::watch_what_is_wanted(Connection& connection) {
    uint32_t wanted = 0;
    if (connection.replies.size() < waiting_octets_max && connection.input.size() < read_octets)
        wanted |= EPOLLIN;
    if (connection.writable > 0) wanted |= EPOLLOUT;
    if (wanted == connection.watched) return;
    connection.watched = wanted;
    poller_.change(connection.fd(), wanted);
}

void Server::close(Connection& connection) {
    if (connection.gone) return;
    connection.gone = true;
    --shared_.tally.connections_open;
    --listeners_[connection.listener].open;
    int fd = connection.fd();
    poller_.forget(fd);
    closed_.push_back(std::move(connections_[size_t(fd)]));
    closed_.back()->socket = bench::Socket();
}

void Server::close_idle() {
    auto now = Clock::now();
    for (auto& connection : connections_) {
        if (!connection) continue;
        auto patience = connection->shut_down
                            ? std::min<std::chrono::nanoseconds>(linger, options_.idle)
                            : options_.idle;
        if (now - connection->active < patience) continue;
        if (!connection->shut_down) ++shared_.tally.connections_timed_out;
        close(*connection);
    }
}

Server::Connection* Server::find(const Due& due) {
    if (size_t(due.fd) >= connections_.size()) return nullptr;
    Connection* connection = connections_[size_t(due.fd)].get();
    return connection && connection->generation == due.generation ? connection : nullptr;
}

}  // namespace sink
