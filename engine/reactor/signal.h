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

    class Wait;
    /// Both are to be awaited where they are called. True when notified, false when the deadline
    /// passed first. A notification is never lost to a waiter whose time is up: it is true then.
    Wait wait();
    Wait wait_until(Instant deadline);
    void notify_one();
    void notify_all();
    size_t waiters() const { return count_; }

  private:
    void append(Wait& waiter);
    void unlink(Wait& waiter);

    Reactor& reactor_;
    Wait* first_ = nullptr;
    Wait* last_ = nullptr;
    size_t count_ = 0;
};

/// A waiter, in the frame of whoever waits: a coroutine for it would be another 80 octets of each
/// connection at rest.
class [[nodiscard]] Signal::Wait {
  public:
    Wait(Signal& signal, Instant deadline)
        : signal_(signal), sleep_{.kind = Op::Kind::sleep, .deadline = deadline} {}
    Wait(const Wait&) = delete;
    Wait& operator=(const Wait&) = delete;

    bool await_ready() const noexcept { return false; }
    // A sleep that a notification cancels: so deadlines, and the simulation, come for nothing.
    void await_suspend(std::coroutine_handle<> waiter);
    bool await_resume();

  private:
    friend class Signal;
    Signal& signal_;
    Op sleep_;
    Wait* previous_ = nullptr;
    Wait* next_ = nullptr;
    bool queued_ = false;
};

inline Signal::Wait Signal::wait_until(Instant deadline) {
    return {*this, deadline};
}
inline Signal::Wait Signal::wait() {
    return {*this, Instant::max()};
}

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
