// The seam to the kernel: operations are submitted and complete in a later turn. UringReactor is production; the
// simulation has its own. Timers, deadlines and the run queue are the same code in both (engine/reactor/timer_wheel.h).
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <chrono>
#include <coroutine>
#include <cstdint>
#include <random>
#include <span>

#include "engine/reactor/address.h"
#include "engine/reactor/result.h"
#include "engine/reactor/timer_wheel.h"
#include "storage/types.h"

namespace engine {

using storage::WallTime;

class Clock {
  public:
    virtual ~Clock() = default;
    virtual Instant now() const = 0;    // monotonic, constant within one turn
    virtual WallTime wall() const = 0;  // for stored due times and for what people read
};

/// One operation in flight. It lives in the frame of the coroutine that awaits it and must not move or die before it
/// has completed. `chunks` and `address` must stay valid until then, too.
struct Op {
    enum class Kind : uint8_t {
        accept,   // fd: a listener. result: the new socket. Multishot inside the production reactor
        connect,  // fd, address
        recv,     // fd. result: bytes in `buffer` (0: end of stream); read them with Reactor::bytes, then release()
        send,     // fd, chunks. result: bytes taken, which may be fewer than all
        poll,     // fd, poll_events. result: the events that are there
        sleep     // until deadline. result: 0
    };
    Kind kind{};
    uint16_t buffer = 0;  // recv: which pooled buffer holds the bytes
    int fd = -1;
    const SocketAddress* address = nullptr;
    std::span<const iovec> chunks{};
    uint32_t poll_events = 0;
    int result = 0;       // as a completion: >= 0, or -errno; -ETIME when the deadline passed, -ECANCELED when cancelled
    Instant deadline = Instant::max();
    std::coroutine_handle<> waiter;
    TimerNode timer;      // the reactor's
    void* slot = nullptr; // the reactor's
};

/// Something other threads can fill: mailboxes and workers. The reactor drains it once a turn and looks at it again
/// before it sleeps.
class Source {
  public:
    virtual ~Source() = default;
    virtual bool drain() = 0;          // on the shard: take what is there and post what waits for it; true if anything was
    virtual bool pending() const = 0;  // on the shard, with acquire order
    /// On the shard: threads behind it have work for milliseconds. Then nothing is idle while the shard sleeps a moment
    /// longer, and what it is woken for may come in company.
    virtual bool saturated() const { return false; }
};

class Reactor : public Clock {
  public:
    virtual Result<int> open_socket(int family, const SocketAddress* bind_to) = 0;  // a stream socket, NODELAY; for operations of this reactor only
    virtual Result<int> listen_on(const SocketAddress& address, int backlog) = 0;   // TCP or Unix; REUSEADDR
    virtual Result<SocketAddress> local_address(int fd) const = 0;
    virtual Result<SocketAddress> peer_address(int fd) const = 0;
    /// Cancels what is pending on fd (it completes with -ECANCELED) and closes it.
    virtual void close_socket(int fd) = 0;

    virtual void submit(Op&) = 0;      // completes in a later turn, never inside submit()
    virtual void cancel(Op&) = 0;      // the op still completes; with -ECANCELED unless it was faster
    virtual std::string_view bytes(const Op& recv) const = 0;  // valid until release
    virtual void release(uint16_t buffer) = 0;                 // gives a receive buffer back

    virtual void post(std::coroutine_handle<>) = 0;            // resumes in this turn or the next
    virtual bool turn(Instant until) = 0;  // drain, submit, reap, expire, run; false when nothing is left to wait for
    virtual void add_source(Source&) = 0;
    virtual void wake() = 0;               // any thread: ends a sleeping turn. Cheap when the shard is awake
    virtual std::mt19937_64& random() = 0; // the only randomness in the engine
};

/// Awaits one operation; the value is op.result.
struct Perform {
    Reactor& reactor;
    Op& op;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) const {
        op.waiter = waiter;
        reactor.submit(op);
    }
    int await_resume() const noexcept { return op.result; }
};
inline Perform perform(Reactor& reactor, Op& op) { return {reactor, op}; }

}  // namespace engine
