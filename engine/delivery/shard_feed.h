// The Feed of one shard.
#pragma once

#include <atomic>

#include "engine/delivery/feed.h"
#include "engine/reactor/signal.h"

namespace engine {

class ShardFeed final : public Feed {
  public:
    explicit ShardFeed(Reactor& reactor) : reactor_(reactor), more_(reactor) {}

    uint64_t last() const override { return last_.load(std::memory_order_relaxed); }
    Task<> wait_beyond(uint64_t seq, Instant deadline) override;

    /// On this shard: more events are readable.
    void advance(uint64_t upto);
    /// Any thread: whether a post about new events is worth its while.
    bool awaited() const { return waiters_.load(std::memory_order_relaxed) > 0; }
    /// Any thread: notes what is readable without waking anybody.
    void note(uint64_t upto);

  private:
    Reactor& reactor_;
    std::atomic<uint64_t> last_{0};
    std::atomic<uint32_t> waiters_{0};
    Signal more_;
};

}  // namespace engine
