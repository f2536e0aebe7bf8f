// SimReactor: the reactor of one simulated shard. Timers, deadlines and the run queue work as in
// production; sockets lead into the simulated network. The world turns it.
#pragma once

#include <memory>
#include <unordered_set>
#include <vector>

#include "engine/reactor/reactor.h"
#include "engine/reactor/steady_wall.h"
#include "tests/sim/world.h"

namespace sim {

using engine::Op;

class Network;

class Reactor final : public engine::Reactor {
  public:
    static constexpr size_t buffer_bytes = 4096;  // as in production

    Reactor(World& world, Network& network);
    ~Reactor() override;

    Instant now() const override { return now_; }
    WallTime wall() const override {
        return wall_.look(world_.now(), world_.machine_wall().time_since_epoch());
    }

    engine::Result<int> open_socket(int family, const engine::SocketAddress* bind_to) override;
    engine::Result<int> listen_on(const engine::SocketAddress& address, int backlog) override;
    engine::Result<engine::SocketAddress> local_address(int fd) const override;
    engine::Result<engine::SocketAddress> peer_address(int fd) const override;
    void close_socket(int fd) override;

    void submit(Op& op) override;
    void cancel(Op& op) override;
    std::string_view bytes(const Op& recv) const override;
    void release(uint16_t buffer) override;

    void post(std::coroutine_handle<> waiter) override { ready_.push_back(waiter); }
    bool turn(Instant until) override;
    void add_source(engine::Source& source) override { sources_.push_back(&source); }
    void wake() override {}  // the world looks at every source before it lets time pass
    std::mt19937_64& random() override { return random_; }

    /// A turn would do something now.
    bool runnable() const;
    /// When it has to turn at the latest if nothing else happens.
    Instant next_expiry() const { return timers_.next_expiry(); }

    /// The network's: ends an operation, which resumes its waiter in a later turn.
    void complete(Op& op, int result);
    uint16_t fill_buffer(std::string bytes);

    size_t buffers_out() const { return buffers_out_; }
    size_t pending() const { return pending_.size(); }
    /// The process is gone: whatever still wants something of it is told so by this.
    bool dead() const { return dead_; }
    void die() { dead_ = true; }

  private:
    void expire();

    World& world_;
    Network& network_;
    Instant now_;
    mutable engine::SteadyWall wall_;
    engine::TimerWheel timers_;
    std::deque<std::coroutine_handle<>> ready_;
    std::vector<engine::Source*> sources_;
    // All that waits hangs on these: so the frames of a crashed node are not leaked but kept.
    std::unordered_set<Op*> pending_;
    // Freed at release, so that a look at bytes that were given back is a use after free.
    std::vector<std::unique_ptr<std::string>> buffers_;
    std::vector<uint16_t> free_buffers_;
    size_t buffers_out_ = 0;
    std::mt19937_64 random_;
    bool dead_ = false;
};

}  // namespace sim
