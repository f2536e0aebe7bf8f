// ThreadWorker: one thread that does a shard's blocking or long work, in order.
#pragma once

#include <atomic>
#include <deque>
#include <string>
#include <thread>

#include "engine/reactor/reactor.h"
#include "engine/reactor/spsc_ring.h"
#include "engine/reactor/worker.h"

namespace engine {

class ThreadWorker final : public Worker, public Source {
  public:
    static constexpr size_t jobs_max_default =
        256;  // with the thread; more wait on the shard, in order

    /// Adds itself to the reactor's sources, so it must live until the reactor's last turn, and be
    /// destroyed before it. The thread is called `name` (at most 15 characters of it).
    ThreadWorker(Reactor& reactor, const std::string& name, size_t jobs_max = jobs_max_default);
    ThreadWorker(const ThreadWorker&) = delete;
    ThreadWorker& operator=(const ThreadWorker&) = delete;
    ~ThreadWorker() override;  // nobody may wait for it

    Task<> run(std::move_only_function<void()> work) override;
    size_t backlog() const override { return waiting_.size() + with_thread_; }

    bool drain() override;
    bool pending() const override { return !done_.empty(); }

  private:
    struct Job {
        std::move_only_function<void()> work;
        std::coroutine_handle<> waiter;
    };
    struct Handed;

    void hand_over();
    void work();
    void wake_thread();

    Reactor& reactor_;
    const size_t jobs_max_;
    std::deque<Job*> waiting_;  // the thread has enough to do; jobs live in their callers' frames
    size_t with_thread_ = 0;    // at most jobs_max_, so `done_` always has room
    SpscRing<Job*> todo_;
    SpscRing<Job*> done_;
    enum : uint32_t { working, sleeping };
    std::atomic<uint32_t> state_{working};
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

}  // namespace engine
