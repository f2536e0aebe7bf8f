// Network: TCP as the engine sees it. Bytes take their time, come split or joined, and stop coming;
// a peer that does not read fills the window; a connect is refused, lost or answered; either side
// resets or closes when it likes.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/reactor/address.h"
#include "engine/reactor/reactor.h"
#include "tests/sim/world.h"

namespace sim {

class Reactor;
class Network;

/// The receiving end of one connection. Its calls come in order.
class Peer {
  public:
    virtual ~Peer() = default;
    virtual void connected() = 0;
    /// The engine gives them to its kernel; they arrive later, or never.
    virtual void leaving(std::string_view bytes) = 0;
    /// When the engine began to give the last of them to its kernel, which may have taken them much
    /// later.
    struct Sent {
        Instant at;
        Instant begun;  // what they may be the end of, when it is longer than the kernel takes
    };
    virtual void bytes(std::string bytes, Sent sent) = 0;
    virtual void ended() = 0;  // the engine closed its side, or reset the connection
};

/// One connection of the engine's, seen by the network and by its peer.
class Link : public std::enable_shared_from_this<Link> {
  public:
    enum class End : uint8_t { open, closed, reset };

    /// The peer's side. Replies travel in order; `read` is called when the engine was given the
    /// last byte.
    void write(std::string bytes, std::function<void()> read = {});
    void close();  // what was written before still arrives
    void reset();  // what has not arrived by then never does
    /// Until then nothing more is taken from the engine: its window fills up.
    void pause_until(Instant when) { paused_until_ = std::max(paused_until_, when); }

    int fd() const { return fd_; }
    const std::string& source() const { return source_; }  // the engine's own address, if it said
    /// The engine has not closed it.
    bool open_here() const { return !closed_here_; }
    Instant closed_at() const { return closed_at_; }

  private:
    friend Network;
    Link(Network& network, Reactor& reactor, int fd, std::string source)
        : network_(network), owner_(reactor), fd_(fd), source_(std::move(source)) {}

    struct Watch {
        uint64_t upto;
        std::function<void()> read;
    };

    void connect(engine::Op& op);
    void connected();
    void send(engine::Op& op);
    struct Arrival {
        std::string bytes;  // empty: the end
        Peer::Sent sent;
    };
    void arrive(Arrival arrival);
    void hand_over();
    void receive(engine::Op& op);
    void arrived(std::string bytes);
    void end(End how);
    void serve_waiters();
    Instant later(Instant& last, Nanoseconds extra = Nanoseconds(0));
    size_t window() const;

    Network& network_;
    Reactor& owner_;
    const int fd_;
    const std::string source_;
    std::string host_;
    engine::SocketAddress address_;
    std::shared_ptr<Peer> peer_;
    bool established_ = false;
    bool closed_here_ = false;
    bool closed_there_ = false;  // the peer is gone: what still comes is answered with a reset
    End end_ = End::open;        // as the engine's kernel knows it
    Instant closed_at_{};
    Nanoseconds latency_{1ms};
    Instant last_up_{}, last_down_{};  // arrivals, so that bytes do not overtake each other
    Instant paused_until_{};
    std::deque<Arrival> arrived_;  // with the peer's kernel
    Peer::Sent write_{};           // of the engine's; it may take several sends
    bool write_goes_on_ = false, may_go_on_ = false;
    size_t in_flight_ = 0;  // sent, and not taken by the peer
    size_t window_ = 65536;
    std::string inbox_;
    uint64_t written_ = 0, read_ = 0;  // bytes of the peer's
    std::deque<Watch> watches_;
    engine::Op* connector_ = nullptr;
    engine::Op* sender_ = nullptr;
    engine::Op* receiver_ = nullptr;
};

/// What a host does with a connect.
struct Answer {
    enum class Kind : uint8_t { accept, refuse, lose, unreachable };
    Kind kind = Kind::accept;
    std::shared_ptr<Peer> peer;  // when accepted
    std::string group;           // what its connections are counted under
    Nanoseconds latency{1ms};
};

class Network {
  public:
    /// Who answers at an address; the link is the one that the peer will speak on.
    using Listener = std::function<Answer(const engine::SocketAddress&, std::shared_ptr<Link>)>;

    Network(World& world, Listener listener);
    ~Network();

    /// `source`: the address that it is bound to; empty: none.
    engine::Result<int> open(Reactor& reactor, std::string source);
    engine::Result<engine::SocketAddress> peer_of(int fd) const;
    void close(int fd);
    void submit(Reactor& reactor, engine::Op& op);
    /// The operation's waiter no longer waits for us.
    void forget(engine::Op& op);
    /// The process died: its kernel ends all its connections.
    void crash(Reactor& reactor);

    /// Called when a connection is opened, and when it is closed.
    struct Seen {
        int socket;
        const std::string &group, &source;
        bool opened;
    };
    using Look = std::function<void(const Seen&)>;
    void on_connections(Look look) { on_connections_ = std::move(look); }
    size_t open_sockets(const Reactor& reactor) const;
    uint64_t connections() const { return connections_; }
    uint64_t bytes() const { return bytes_; }
    /// From now on bytes come whole and soon.
    void heal() { calm_ = true; }

  private:
    friend Link;
    void tell(const Link& link, bool opened);

    World& world_;
    Listener listener_;
    std::map<int, std::shared_ptr<Link>> links_;
    std::vector<std::weak_ptr<Link>> all_;  // a link and its peer hold each other until the end
    Look on_connections_;
    int last_fd_ = 2;
    bool calm_ = false;
    uint64_t connections_ = 0, bytes_ = 0;
};

}  // namespace sim
