#include "tests/sim/worker.h"

namespace sim {

namespace {
constexpr Nanoseconds work_least = 50us, work_most = 5ms;
constexpr double slow_work = 0.02;  // a disk that is busy with something else
constexpr Nanoseconds slow_most = 4s;
constexpr double late_answer = 0.2;
}  // namespace

struct Worker::Handed {
    Worker& worker;
    Job& job;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) const {
        job.waiter = waiter;
        worker.waiting_.push_back(&job);
        worker.begin();
    }
    void await_resume() const noexcept {}
};

Worker::Worker(World& world, Reactor& reactor, std::function<bool()> done)
    : world_(world), reactor_(reactor), after_work_(std::move(done)) {
    reactor.add_source(*this);
}

engine::Task<> Worker::run(std::move_only_function<void()> work) {
    Job job{.work = std::move(work), .waiter = {}};
    co_await Handed{*this, job};
}

void Worker::begin() {
    if (busy_ || waiting_.empty()) return;
    busy_ = true;
    Job* job = waiting_.front();
    waiting_.pop_front();
    const Nanoseconds takes = world_.some_time(
        work_least, world_.strikes(Fault::slow_disk, slow_work) ? slow_most : work_most);
    world_.after(takes, [this, job] { work(job); });
}

void Worker::work(Job* job) {
    if (reactor_.dead()) return;
    job->work();
    ++jobs_;
    if (!after_work_()) return;
    // The answer may be late, but in order: the next piece of work waits for it.
    const Nanoseconds late = world_.chance(late_answer) ? world_.some_time(10us, 20ms) : 0ns;
    world_.after(late, [this, job] {
        if (reactor_.dead()) return;
        done_.push_back(job);
        busy_ = false;
        begin();
    });
}

bool Worker::drain() {
    bool any = false;
    for (; !done_.empty(); done_.pop_front()) {
        reactor_.post(done_.front()->waiter);
        any = true;
    }
    return any;
}

}  // namespace sim
