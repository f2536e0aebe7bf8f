#include "engine/reactor/thread_worker.h"

#include <pthread.h>

#include "metrics/check.h"

namespace engine {

struct ThreadWorker::Handed {
    ThreadWorker& worker;
    Job& job;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) const {
        job.waiter = waiter;
        worker.waiting_.push_back(&job);
        worker.hand_over();
    }
    void await_resume() const noexcept {}
};

ThreadWorker::ThreadWorker(Reactor& reactor, const std::string& name, size_t jobs_max)
    : reactor_(reactor), jobs_max_(jobs_max), todo_(jobs_max), done_(jobs_max) {
    CHECK(jobs_max > 0, "a worker that takes no job");
    thread_ = std::thread(&ThreadWorker::work, this);
    pthread_setname_np(thread_.native_handle(), name.substr(0, 15).c_str());
    reactor.add_source(*this);
}

ThreadWorker::~ThreadWorker() {
    CHECK(backlog() == 0, "a worker was destroyed while tasks wait for it");
    stop_.store(true, std::memory_order_release);
    wake_thread();
    thread_.join();
}

Task<> ThreadWorker::run(std::move_only_function<void()> work) {
    Job job{.work = std::move(work), .waiter = {}};
    co_await Handed{*this, job};
}

void ThreadWorker::hand_over() {
    bool any = false;
    while (!waiting_.empty() && with_thread_ < jobs_max_) {
        CHECK(todo_.push(waiting_.front()), "the worker's ring is smaller than its limit");
        waiting_.pop_front();
        ++with_thread_;
        any = true;
    }
    if (any) wake_thread();
}

bool ThreadWorker::drain() {
    bool any = false;
    for (Job* job = nullptr; done_.pop(job);) {
        --with_thread_;
        reactor_.post(job->waiter);
        any = true;
    }
    if (any) hand_over();
    return any;
}

/// Both sides publish first, then fence, then look at the other's word: at least one of them sees
/// the other.
void ThreadWorker::wake_thread() {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (state_.load(std::memory_order_relaxed) == working) return;
    state_.store(working, std::memory_order_release);
    state_.notify_one();
}

void ThreadWorker::work() {
    while (true) {
        Job* job = nullptr;
        if (todo_.pop(job)) {
            job->work();
            // From here on the job may be gone: its caller's frame lives on another thread.
            CHECK(done_.push(job), "the worker's ring of results is full");
            reactor_.wake();
            continue;
        }
        state_.store(sleeping, std::memory_order_relaxed);
        std::atomic_thread_fence(std::memory_order_seq_cst);
        if (todo_.empty()) {
            if (stop_.load(std::memory_order_acquire)) return;
            state_.wait(sleeping, std::memory_order_acquire);
        } else {
            state_.store(working, std::memory_order_relaxed);
        }
    }
}

}  // namespace engine
