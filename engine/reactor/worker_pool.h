// WorkerPool: threads for computing, shared by all shards: the next free one takes the next job,
// whosever it is. Each shard reaches them through a port of its own.
#pragma once

#include <atomic>
#include <deque>
#include <string>
#include <thread>
#include <vector>

#include "engine/reactor/mpmc_ring.h"
#include "engine/reactor/reactor.h"
#include "engine/reactor/worker.h"

namespace engine {

class PoolPort;

class WorkerPool {
  public:
    static constexpr size_t jobs_per_port = 64;  // with the threads; more wait on their shard

    static constexpr size_t saturated_jobs = 16;  // of a port, for each thread

    static constexpr unsigned results_per_wake = 4;  // of brief jobs, while more of them wait

    /// The threads are called `name` and their number (15 characters at most). `ports`: how many
    /// may be opened.
    WorkerPool(const std::string& name, unsigned threads, size_t ports);
    WorkerPool(const WorkerPool&) = delete;
    WorkerPool& operator=(const WorkerPool&) = delete;
    ~WorkerPool();  // after its ports

  private:
    friend PoolPort;
    struct Job {
        std::move_only_function<void()> work;
        std::coroutine_handle<> waiter;
        PoolPort* port = nullptr;
        bool brief = false;
    };
    class Results;

    void work();
    bool take(Job*& job);
    void give(Job* job);

    const size_t saturated_from_;
    MpmcRing<Job*> todo_;  // room for what all ports together may have here
    std::atomic<size_t> ports_left_;
    std::atomic<uint32_t> given_{0};     // counts up to wake sleepers
    std::atomic<uint32_t> sleepers_{0};  // threads that found nothing and are about to wait
    std::atomic<bool> stop_{false};
    std::vector<std::thread> threads_;
};

/// One shard's way to the pool. Unlike a ThreadWorker it keeps no order: work that was given first
/// may end last.
class PoolPort final : public Worker, public Source {
  public:
    /// Adds itself to the reactor's sources, so it must live until the reactor's last turn, and be
    /// destroyed before it and before the pool.
    PoolPort(WorkerPool& pool, Reactor& reactor);
    PoolPort(const PoolPort&) = delete;
    PoolPort& operator=(const PoolPort&) = delete;
    ~PoolPort() override;  // nobody may wait for it

    [[clang::coro_wrapper]] Task<> run(std::move_only_function<void()> work) override;
    [[clang::coro_wrapper]] Task<> run_briefly(std::move_only_function<void()> work) override;
    size_t backlog() const override { return waiting_.size() + with_pool_; }

    bool drain() override;
    bool pending() const override { return !done_.empty(); }
    bool saturated() const override { return backlog() >= pool_.saturated_from_; }

  private:
    friend WorkerPool;
    struct Handed;

    Task<> hand_in(std::move_only_function<void()> work, bool brief);
    void hand_over();

    WorkerPool& pool_;
    Reactor& reactor_;
    std::deque<WorkerPool::Job*>
        waiting_;           // bounded by the tasks that wait: jobs live in their frames
    size_t with_pool_ = 0;  // at most jobs_per_port, so `done_` always has room
    MpmcRing<WorkerPool::Job*> done_;
    std::atomic<uint32_t> visitors_{0};  // threads that have given a result and not yet woken us
};

}  // namespace engine
