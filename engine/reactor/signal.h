// Signal: "something changed, look again", between coroutines of one shard. Event: the same with a
// memory.
#pragma once

#include "engine/reactor/reactor.h"
#include "engine/reactor/task.h"

namespace engine {

/// Waiters are resumed by the reactor in the order of their waiting, never inside notify. What they
/// waited for may be gone when they run: wait in a loop that re-checks.
class Signal {
  public:
    explicit Signal(Reactor& reactor) : reactor_(reactor) {}
    Signal(const Signal&) = delete;
    Signal& operator=(const Signal&) = delete;
    ~Signal();  // nobody may wait

    Task<> wait();
    /// True when notified, false when the deadline passed first. A notification is never lost to a
    /// waiter whose time is up: it returns true then.
    Task<bool> wait_until(Instant deadline);
    void notify_one();
    void notify_all();
    size_t waiters() const { return count_; }

  private:
    struct Waiter {
        Op sleep;
        Waiter* previous = nullptr;
        Waiter* next = nullptr;
        bool queued = false;
    };
    void append(Waiter& waiter);
    void unlink(Waiter& waiter);

    Reactor& reactor_;
    Waiter* first_ = nullptr;
    Waiter* last_ = nullptr;
    size_t count_ = 0;
};

/// Once set, all waits return at once until it is reset.
class Event {
  public:
    explicit Event(Reactor& reactor) : changed_(reactor) {}

    bool is_set() const { return set_; }
    void set() {
        set_ = true;
        changed_.notify_all();
    }
    void reset() { set_ = false; }
    Task<> wait() {
        while (!set_) co_await changed_.wait();
    }
    /// False when the deadline passed and it is still not set.
    Task<bool> wait_until(Instant deadline) {
        while (!set_) {
            if (!co_await changed_.wait_until(deadline)) co_return set_;
        }
        co_return true;
    }

  private:
    Signal changed_;
    bool set_ = false;
};

}  // namespace engine
