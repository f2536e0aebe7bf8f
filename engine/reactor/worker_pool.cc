#include "engine/reactor/worker_pool.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "metrics/check.h"

namespace engine {

WorkerPool::WorkerPool(const std::string& name, unsigned threads, size_t ports)
    : saturated_from_(std::min(saturated_jobs * threads, jobs_per_port)),
      todo_(jobs_per_port * ports),
      ports_left_(ports) {
    CHECK(threads > 0 && ports > 0, "a pool of nobody or for nobody");
    for (unsigned i = 0; i < threads; ++i) {
        threads_.emplace_back(&WorkerPool::work, this);
        const std::string called = (name + std::to_string(i)).substr(0, 15);
        pthread_setname_np(threads_.back().native_handle(), called.c_str());
    }
}

WorkerPool::~WorkerPool() {
    CHECK(todo_.empty(), "a pool was destroyed while tasks wait for it");
    stop_.store(true, std::memory_order_release);
    given_.fetch_add(1, std::memory_order_seq_cst);
    given_.notify_all();
    for (std::thread& thread : threads_) thread.join();
}

/// Both sides publish first, then fence, then look at the other's word: at least one of them sees
/// the other.
void WorkerPool::give(Job* job) {
    CHECK(todo_.push(job), "the pool's ring is smaller than its ports' limits");
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (sleepers_.load(std::memory_order_relaxed) == 0) return;
    given_.fetch_add(1, std::memory_order_release);
    given_.notify_one();
}

/// Waits for a job; false: the pool ends.
bool WorkerPool::take(Job*& job) {
    while (!todo_.pop(job)) {
        sleepers_.fetch_add(1, std::memory_order_relaxed);
        std::atomic_thread_fence(std::memory_order_seq_cst);
        const uint32_t seen = given_.load(std::memory_order_acquire);
        const bool got = todo_.pop(job);
        const bool stop = stop_.load(std::memory_order_acquire);
        if (!got && !stop) given_.wait(seen, std::memory_order_acquire);
        sleepers_.fetch_sub(1, std::memory_order_relaxed);
        if (got) return true;
        if (stop) return false;
    }
    return true;
}

/// The results that a thread has given to a port and not yet woken its shard for. A shard that is
/// woken for each signature does little else: a wake costs two switches of context and splits its
/// groups (13 us of CPU a signed mail).
class WorkerPool::Results {
  public:
    ~Results() { wake(); }
    void give(Job* job) {
        // From the push on the job may be gone: its caller's frame lives on another thread. The
        // port stays until we have left it.
        PoolPort& port = *job->port;
        if (port_ != &port) {
            wake();
            port_ = &port;
            port.visitors_.fetch_add(1, std::memory_order_relaxed);
        }
        CHECK(port.done_.push(job), "the port's ring of results is full");
        if (++count_ >= results_per_wake) wake();
    }
    void wake() {
        PoolPort* port = std::exchange(port_, nullptr);
        count_ = 0;
        if (port == nullptr) return;
        port->reactor_.wake();
        port->visitors_.fetch_sub(1, std::memory_order_release);
    }

  private:
    PoolPort* port_ = nullptr;
    unsigned count_ = 0;
};

void WorkerPool::work() {
    Results results;
    for (Job* job = nullptr;;) {
        if (!todo_.pop(job)) {
            results.wake();
            if (!take(job)) return;
        }
        if (!job->brief) results.wake();  // nobody waits for the end of what may take long
        const bool brief = job->brief;
        job->work();
        results.give(job);
        if (!brief) results.wake();
    }
}

struct PoolPort::Handed {
    PoolPort& port;
    WorkerPool::Job& job;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) const {
        job.waiter = waiter;
        port.waiting_.push_back(&job);
        port.hand_over();
    }
    void await_resume() const noexcept {}
};

PoolPort::PoolPort(WorkerPool& pool, Reactor& reactor)
    : pool_(pool), reactor_(reactor), done_(WorkerPool::jobs_per_port) {
    CHECK(pool.ports_left_.fetch_sub(1) > 0, "more ports than the pool has room for");
    reactor.add_source(*this);
}

PoolPort::~PoolPort() {
    CHECK(backlog() == 0, "a port was destroyed while tasks wait for it");
    // A thread whose result we have may still be about to wake us.
    while (visitors_.load(std::memory_order_acquire) != 0) std::this_thread::yield();
    pool_.ports_left_.fetch_add(1);
}

Task<> PoolPort::run(std::move_only_function<void()> work) {
    return hand_in(std::move(work), false);
}

Task<> PoolPort::run_briefly(std::move_only_function<void()> work) {
    return hand_in(std::move(work), true);
}

Task<> PoolPort::hand_in(std::move_only_function<void()> work, bool brief) {
    WorkerPool::Job job{.work = std::move(work), .waiter = {}, .port = this, .brief = brief};
    co_await Handed{*this, job};
}

void PoolPort::hand_over() {
    for (; !waiting_.empty() && with_pool_ < WorkerPool::jobs_per_port; ++with_pool_) {
        pool_.give(waiting_.front());
        waiting_.pop_front();
    }
}

bool PoolPort::drain() {
    bool any = false;
    for (WorkerPool::Job* job = nullptr; done_.pop(job);) {
        --with_pool_;
        reactor_.post(job->waiter);
        any = true;
    }
    if (any) hand_over();
    return any;
}

}  // namespace engine
