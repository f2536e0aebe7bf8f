// The production reactor: one io_uring per shard. Multishot accept and receive, the kernel's own
// choice of receive buffers, and TCP_QUICKACK are matters of this class; the seam has single
// operations only.
#pragma once

#include <liburing.h>

#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "engine/reactor/buffer_pool.h"
#include "engine/reactor/reactor.h"
#include "engine/reactor/steady_wall.h"

namespace engine {

struct UringOptions {
    uint32_t entries = 1024;       // submission queue; completions get four times as many
    uint32_t buffer_count = 1024;  // receive buffers at start, and the step in which the pool grows
    uint32_t buffer_count_max =
        16384;  // must exceed the connections that keep bytes while they wait for something else
    uint32_t buffer_bytes = 4096;
};

/// Only ever grows, except for the last two. Read it on the shard.
struct ReactorStats {
    uint64_t turns = 0;
    uint64_t enters = 0;  // io_uring_enter calls
    uint64_t sqes = 0;
    uint64_t cqes = 0;
    uint64_t overflows = 0;  // turns that found the completion queue full
    uint64_t resumes = 0;
    uint64_t quickacks = 0;            // setsockopt calls for them
    uint64_t starvations = 0;          // receives that found no buffer
    std::chrono::nanoseconds busy{0};  // all time but that asleep in the kernel
    uint32_t buffers_free = 0;
    uint32_t buffers_total = 0;
};

class UringReactor final : public Reactor {
  public:
    /// May be called on any thread; the thread of the first turn() is the one that it belongs to
    /// from then on. Errors are one line that names the cause and the cure.
    static Result<std::unique_ptr<UringReactor>> create(UringOptions options = {});
    /// Whether create() would work on this machine, with the same words.
    static Result<void> probe();
    /// On the thread of its turns, or after that thread has ended. Nothing may be in flight for a
    /// coroutine.
    ~UringReactor() override;

    Instant now() const override { return now_; }
    WallTime wall() const override;
    Result<int> open_socket(int family, const SocketAddress* bind_to) override;
    Result<int> listen_on(const SocketAddress& address, int backlog) override;
    Result<SocketAddress> local_address(int fd) const override;
    Result<SocketAddress> peer_address(int fd) const override;
    void close_socket(int fd) override;
    void submit(Op& op) override;
    void cancel(Op& op) override;
    std::string_view bytes(const Op& recv) const override;
    void release(uint16_t buffer) override;
    void post(std::coroutine_handle<> waiter) override { ready_.push_back(waiter); }
    /// With sources it always returns true: what they wait for is not known here.
    bool turn(Instant until) override;
    void add_source(Source& source) override { sources_.push_back(&source); }
    void wake() override;
    std::mt19937_64& random() override { return random_; }

    const ReactorStats& stats() const;

  private:
    static constexpr size_t inbox_buffers_max =
        8;  // received and not yet asked for: then the peer must wait
    static constexpr size_t inbox_accepts_max = 64;
    static constexpr size_t resumes_per_turn_max = 4096;

    struct Arrival {
        int result = 0;       // bytes, a new socket, 0 at the end, -errno
        uint16_t buffer = 0;  // when bytes
    };
    /// What we know of a file descriptor. It lives until the kernel has said its last word on it,
    /// because completions carry its address, and the descriptor is closed only then, so that its
    /// number cannot come back too early.
    struct Socket {
        int fd = -1;
        bool listener = false;
        bool tcp = false;
        bool armed = false;      // a receive or an accept is in the kernel
        bool multishot = false;  // and goes on after a completion
        bool cancelling = false;
        bool ended = false;    // the peer has closed its side
        bool starved = false;  // stands in starved_
        bool ack_due = false;  // stands in acks_due_
        bool unacknowledged =
            false;  // received since we last sent: nothing has carried our ACK yet
        bool closing = false;
        bool orphan = false;  // the number belongs to a newer file: somebody else closed this one
        uint32_t in_flight = 0;  // requests that the kernel has not ended
        Op* waiter = nullptr;    // recv or accept
        std::vector<Arrival> inbox;
    };
    enum class Tag : uint64_t { op, socket, wake, ignored };

    UringReactor() = default;
    Result<void> open(const UringOptions& options);
    void start();

    io_uring_sqe& next_sqe();
    io_uring_sqe& tagged_sqe(void* target, Tag tag);
    void enter(Instant until, bool may_sleep);
    void reap();
    void on_completion(const io_uring_cqe& cqe);
    void on_op(Op& op, int result);
    void on_arrival(Socket& socket, const io_uring_cqe& cqe);
    void complete(Op& op, int result);
    void expire();
    bool drain();
    void run();

    Socket& socket_of(int fd);
    Socket& adopt(int fd);
    void begin(Op& op, Socket& socket);
    void deliver(Socket& socket);
    void arm(Socket& socket);
    void arm_receive(Socket& socket, bool multishot);
    void cancel_receive(Socket& socket);
    void starve(Socket& socket);
    void feed_starved();
    void drop_inbox(Socket& socket);
    void finish_close(Socket& socket);
    void acknowledge();

    BufferPool pool_;
    io_uring ring_{};
    bool open_ = false;
    bool started_ = false;
    std::vector<msghdr> headers_;  // one per submission entry: the kernel reads it at submission
    Instant now_{};
    Instant awake_since_{};
    std::optional<TimerWheel> timers_;
    std::deque<std::coroutine_handle<>> ready_;
    std::vector<Source*> sources_;
    std::vector<std::unique_ptr<Socket>> sockets_;  // by descriptor
    std::deque<Socket*> starved_;                   // wait for a receive buffer, in order
    std::vector<int> acks_due_;
    size_t pending_ = 0;  // operations that somebody waits for
    size_t closing_ = 0;
    int wake_fd_ = -1;
    enum : uint32_t { awake, asleep, notified };
    std::atomic<uint32_t> state_{awake};
    std::mt19937_64 random_;
    mutable ReactorStats stats_;
    mutable SteadyWall wall_{std::chrono::steady_clock::now(),
                             std::chrono::system_clock::now().time_since_epoch()};
    mutable WallTime wall_now_{};
    mutable Instant wall_now_of_{};  // the now_ that it was had with
    mutable bool told_of_lag_ = false;
};

}  // namespace engine
