// SimWorker: a storage worker without a thread. Work is done in order, each piece after a time that
// the seed gives, and its waiter resumes a while later: a crash can fall in between.
#pragma once

#include <deque>

#include "engine/reactor/reactor.h"
#include "engine/reactor/worker.h"
#include "tests/sim/reactor.h"
#include "tests/sim/world.h"

namespace sim {

class Worker final : public engine::Worker, public engine::Source {
  public:
    /// `done` is called after each piece of work, before anybody learns of it; false: this was the
    /// machine's last act.
    Worker(World& world, Reactor& reactor, std::function<bool()> done);

    engine::Task<> run(std::move_only_function<void()> work) override;
    size_t backlog() const override { return waiting_.size() + done_.size() + (busy_ ? 1 : 0); }

    bool drain() override;
    bool pending() const override { return !done_.empty(); }

    uint64_t jobs() const { return jobs_; }

  private:
    struct Job {
        std::move_only_function<void()> work;
        std::coroutine_handle<> waiter;
    };
    struct Handed;
    void begin();
    void work(Job* job);

    World& world_;
    Reactor& reactor_;
    std::function<bool()> after_work_;
    std::deque<Job*> waiting_, done_;
    bool busy_ = false;
    uint64_t jobs_ = 0;
};

}  // namespace sim
