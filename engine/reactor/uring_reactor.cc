#include "engine/reactor/uring_reactor.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "metrics/check.h"
#include "metrics/log.h"

namespace engine {

namespace {
constexpr std::chrono::nanoseconds sleep_max = 1h;  // keeps the kernel's timespec from overflowing

constexpr std::chrono::nanoseconds company_wait = 1ms;
constexpr unsigned company_size = 16;

// submit() keeps in op.result, while the kernel has the operation, why we asked for its end.
constexpr int not_cancelled = 0;

Op& op_of(TimerNode& node) {
    static_assert(std::is_standard_layout_v<Op>);
    return *reinterpret_cast<Op*>(reinterpret_cast<char*>(&node) - offsetof(Op, timer));
}
}  // namespace

/// Looked at once for each look at the other clock: a mail asks for it eight times. Says once of
/// each jump that the machine's clock is not followed at once.
WallTime UringReactor::wall() const {
    if (started_ && wall_now_of_ == now_) return wall_now_;
    constexpr std::chrono::nanoseconds worth_a_word = 2s;
    const auto machine = std::chrono::system_clock::now().time_since_epoch();
    const WallTime now = wall_.look(std::chrono::steady_clock::now(), machine);
    const bool lags = std::chrono::abs(wall_.lag()) > worth_a_word;
    if (lags && !told_of_lag_)
        metrics::log::warn("clock.jumped",
                           {{"machine_is_ahead_by", wall_.lag()},
                            {"hint",
                             "due times and expiries follow a tenth faster or slower; a "
                             "restart follows at once"}});
    told_of_lag_ = lags;
    wall_now_ = now;
    wall_now_of_ = now_;
    return now;
}

const ReactorStats& UringReactor::stats() const {
    stats_.buffers_free = pool_.free();
    stats_.buffers_total = pool_.total();
    return stats_;
}

void UringReactor::submit(Op& op) {
    CHECK(op.slot == nullptr, "an operation was submitted twice");
    op.result = not_cancelled;
    ++pending_;
    if (op.deadline != Instant::max()) timers_->add(op.timer, op.deadline);
    if (op.kind == Op::Kind::sleep) {
        op.slot = this;
        return;
    }
    if (op.fd < 0) return complete(op, -EBADF);
    Socket& socket = socket_of(op.fd);
    if (socket.closing) return complete(op, -ECANCELED);
    op.slot = &socket;
    if (op.kind != Op::Kind::recv && op.kind != Op::Kind::accept) return begin(op, socket);

    CHECK(socket.waiter == nullptr, "two coroutines wait for the same socket's input");
    socket.waiter = &op;
    socket.listener = op.kind == Op::Kind::accept;
    if (!socket.inbox.empty()) return deliver(socket);
    if (socket.ended) return complete(*std::exchange(socket.waiter, nullptr), 0);
    if (!socket.armed && !socket.starved) arm(socket);
    if (socket.unacknowledged && !socket.ack_due) {
        socket.ack_due = true;
        acks_due_.push_back(socket.fd);
    }
}

void UringReactor::begin(Op& op, Socket& socket) {
    io_uring_sqe& sqe = tagged_sqe(&op, Tag::op);
    switch (op.kind) {
        case Op::Kind::connect:
            io_uring_prep_connect(&sqe, op.fd, op.address->raw(), op.address->size);
            break;
        case Op::Kind::send:
            socket.unacknowledged = false;  // what we send carries the ACK
            if (op.chunks.size() == 1) {
                io_uring_prep_send(&sqe, op.fd, op.chunks[0].iov_base, op.chunks[0].iov_len,
                                   MSG_NOSIGNAL | MSG_WAITALL);
            } else {
                msghdr& header = headers_[static_cast<size_t>(&sqe - ring_.sq.sqes)];
                header = {};
                header.msg_iov = const_cast<iovec*>(op.chunks.data());
                header.msg_iovlen = std::min<size_t>(op.chunks.size(), IOV_MAX);
                io_uring_prep_sendmsg(&sqe, op.fd, &header, MSG_NOSIGNAL | MSG_WAITALL);
            }
            break;
        case Op::Kind::poll:
            io_uring_prep_poll_add(&sqe, op.fd, op.poll_events);
            break;
        case Op::Kind::accept:
        case Op::Kind::recv:
        case Op::Kind::sleep:
            CHECK(false, "not an operation of the kernel's");
    }
    ++socket.in_flight;
}

void UringReactor::cancel(Op& op) {
    if (op.slot == nullptr) return;  // it has completed already
    if (op.kind == Op::Kind::sleep) return complete(op, -ECANCELED);
    Socket& socket = *static_cast<Socket*>(op.slot);
    if (socket.waiter == &op) {
        socket.waiter = nullptr;
        return complete(op, -ECANCELED);
    }
    if (op.result != not_cancelled) return;
    op.result = -ECANCELED;
    timers_->remove(op.timer);
    io_uring_sqe& sqe = tagged_sqe(nullptr, Tag::ignored);
    io_uring_prep_cancel(&sqe, &op, 0);
}

void UringReactor::complete(Op& op, int result) {
    op.result = result;
    op.slot = nullptr;
    timers_->remove(op.timer);
    --pending_;
    ready_.push_back(op.waiter);
}

bool UringReactor::turn(Instant until) {
    if (!started_) start();
    ++stats_.turns;
    // Wakes that came until here are answered by this drain.
    state_.exchange(awake, std::memory_order_seq_cst);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    const bool drained = drain();
    feed_starved();
    if (ready_.empty() && pending_ == 0 && closing_ == 0 && sources_.empty()) {
        // Nothing can come any more; but what was submitted (a close) must still reach the kernel.
        enter(until, false);
        reap();
        return !ready_.empty();
    }
    enter(until, !drained && ready_.empty() && (starved_.empty() || pool_.free() == 0));
    reap();
    expire();
    drain();
    run();
    return pending_ > 0 || closing_ > 0 || !ready_.empty() || !sources_.empty();
}

void UringReactor::enter(Instant until, bool may_sleep) {
    acknowledge();
    if (may_sleep && io_uring_cq_ready(&ring_) == 0) {
        uint32_t expected = awake;
        may_sleep = state_.compare_exchange_strong(expected, asleep, std::memory_order_seq_cst);
        std::atomic_thread_fence(std::memory_order_seq_cst);
        if (may_sleep) {
            for (const Source* source : sources_) may_sleep = may_sleep && !source->pending();
        }
    } else {
        may_sleep = false;
    }
    const Instant wake_at = std::min(until, timers_->next_expiry());
    const Instant before = std::chrono::steady_clock::now();
    stats_.sqes += io_uring_sq_ready(&ring_);
    int rc = 0;
    // Accounted in every turn: a loop that has no time to sleep is the busiest of all.
    stats_.busy += before - std::exchange(awake_since_, before);
    if (may_sleep && wake_at > before) {
        const bool company =
            std::ranges::any_of(sources_, [](const Source* source) { return source->saturated(); });
        const auto length = std::min<std::chrono::nanoseconds>(wake_at - before,
                                                               company ? company_wait : sleep_max);
        __kernel_timespec timeout{.tv_sec = length / 1s, .tv_nsec = (length % 1s).count()};
        io_uring_cqe* cqe = nullptr;
        rc = io_uring_submit_and_wait_timeout(&ring_, &cqe, company ? company_size : 1, &timeout,
                                              nullptr);
        now_ = awake_since_ = std::chrono::steady_clock::now();
        ++stats_.enters;
    } else {
        const unsigned flags = IO_URING_READ_ONCE(*ring_.sq.kflags);
        if ((flags & IORING_SQ_CQ_OVERFLOW) != 0) ++stats_.overflows;
        if (io_uring_sq_ready(&ring_) > 0 ||
            (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0) {
            rc = io_uring_submit_and_get_events(&ring_);
            ++stats_.enters;
        }
        now_ = before;
    }
    // A completion queue that is full (EBUSY) or a kernel short of memory (EAGAIN): what is not
    // submitted yet stays in the queue for the next turn, and reaping makes room.
    CHECK(rc >= 0 || rc == -ETIME || rc == -EINTR || rc == -EBUSY || rc == -EAGAIN,
          "io_uring_enter failed");
    uint32_t expected = asleep;
    state_.compare_exchange_strong(expected, awake, std::memory_order_seq_cst);
}

void UringReactor::reap() {
    io_uring_cqe* batch[64];
    // One round through the queue is enough for a turn: a flood must not keep the timers waiting.
    for (unsigned left = *ring_.cq.kring_entries; left > 0;) {
        const unsigned count = io_uring_peek_batch_cqe(&ring_, batch, std::min(left, 64U));
        if (count == 0) return;
        for (unsigned i = 0; i < count; ++i) {
            // Copied out and given back first: handling it may submit, and submitting may need the
            // room.
            const io_uring_cqe cqe = *batch[i];
            io_uring_cqe_seen(&ring_, batch[i]);
            on_completion(cqe);
        }
        stats_.cqes += count;
        left -= count;
    }
}

void UringReactor::on_completion(const io_uring_cqe& cqe) {
    constexpr uint64_t tag_mask = 7;
    void* target = reinterpret_cast<void*>(cqe.user_data & ~tag_mask);
    switch (static_cast<Tag>(cqe.user_data & tag_mask)) {
        case Tag::op:
            return on_op(*static_cast<Op*>(target), cqe.res);
        case Tag::socket:
            return on_arrival(*static_cast<Socket*>(target), cqe);
        case Tag::ignored:
            return;
        case Tag::wake:
            if ((cqe.flags & IORING_CQE_F_MORE) == 0) {
                io_uring_sqe& sqe = tagged_sqe(nullptr, Tag::wake);
                io_uring_prep_poll_multishot(&sqe, wake_fd_, POLLIN);
            }
            return;
    }
}

void UringReactor::on_op(Op& op, int result) {
    Socket& socket = *static_cast<Socket*>(op.slot);
    const bool timed_out = op.result == -ETIME;
    complete(op, result == -ECANCELED && timed_out ? -ETIME : result);
    --socket.in_flight;
    if (socket.closing)
        finish_close(socket);
    else if (socket.orphan && socket.in_flight == 0)
        delete &socket;
}

void UringReactor::expire() {
    for (TimerNode* node = timers_->advance(now_); node != nullptr;) {
        Op& op = op_of(*node);
        node = node->next;
        if (op.kind == Op::Kind::sleep) {
            complete(op, 0);
            continue;
        }
        cancel(op);
        // A waiting receive or accept needs nothing from the kernel: what arrives later waits for
        // the next one.
        op.result = -ETIME;
    }
}

bool UringReactor::drain() {
    bool any = false;
    for (Source* source : sources_) any = source->drain() || any;
    return any;
}

void UringReactor::run() {
    for (size_t left = resumes_per_turn_max; left > 0 && !ready_.empty(); --left) {
        const std::coroutine_handle<> next = ready_.front();
        ready_.pop_front();
        ++stats_.resumes;
        next.resume();
    }
}

void UringReactor::wake() {
    // The fence orders what the caller published before our look at the state, as turn() orders its
    // own two steps the other way round: one of us sees the other.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (state_.load(std::memory_order_seq_cst) == notified) return;
    if (state_.exchange(notified, std::memory_order_seq_cst) == asleep) {
        CHECK(eventfd_write(wake_fd_, 1) == 0, "cannot write the reactor's eventfd");
    }
}

io_uring_sqe& UringReactor::next_sqe() {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    for (int attempt = 0; sqe == nullptr; ++attempt) {
        // More submissions in a turn than the queue holds. Completions only fill the queue here;
        // nobody is resumed.
        CHECK(attempt < 1000, "the submission queue is full and the kernel takes nothing");
        if (!started_) start();
        stats_.sqes += io_uring_sq_ready(&ring_);
        ++stats_.enters;
        io_uring_submit(&ring_);
        sqe = io_uring_get_sqe(&ring_);
    }
    return *sqe;
}

io_uring_sqe& UringReactor::tagged_sqe(void* target, Tag tag) {
    io_uring_sqe& sqe = next_sqe();
    sqe.user_data = reinterpret_cast<uint64_t>(target) | static_cast<uint64_t>(tag);
    return sqe;
}

}  // namespace engine
