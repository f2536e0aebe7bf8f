// Timers by the hundred thousand: a hierarchical wheel of 1 ms ticks with intrusive nodes, so that a deadline on every
// operation costs two list operations and no allocation.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>

namespace engine {

using Instant = std::chrono::time_point<std::chrono::steady_clock, std::chrono::nanoseconds>;
using namespace std::chrono_literals;

struct TimerNode {
    TimerNode* previous = nullptr;
    TimerNode* next = nullptr;
    uint64_t tick = 0;
    bool armed() const { return previous != nullptr; }
};

class TimerWheel {
  public:
    explicit TimerWheel(Instant start);
    TimerWheel(const TimerWheel&) = delete;
    TimerWheel& operator=(const TimerWheel&) = delete;

    /// Arms a node that is not armed. It expires in the first advance() to at or after `deadline` (rounded up to the
    /// wheel's millisecond), never before it; a deadline that has passed expires in the next advance().
    void add(TimerNode& node, Instant deadline);
    void remove(TimerNode& node);   // no-op when not armed
    bool empty() const { return count_ == 0; }
    /// A time not after the first expiry; Instant::max() when empty. May be early (a cascade), never late.
    Instant next_expiry() const;
    /// Moves to `now`; returns the nodes that expired as a chain through TimerNode::next, all disarmed.
    TimerNode* advance(Instant now);

  private:
    static constexpr int level_bits = 6, slots = 1 << level_bits, levels = 7;
    struct Slot {
        int level = 0;
        uint64_t index = 0;
        uint64_t first_tick = 0;
    };
    bool find_next(Slot& next) const;   // the occupied slot that begins first; false when there is none
    void place(TimerNode& node);
    Instant start_;
    uint64_t tick_ = 0;   // all ticks up to this one have expired
    size_t count_ = 0;
    std::array<std::array<TimerNode, slots>, levels> wheel_;   // list heads
    std::array<uint64_t, levels> occupied_{};                  // a bit per slot
    TimerNode due_;                                            // list head: expired, for the next advance()
};

}  // namespace engine
