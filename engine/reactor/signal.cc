#include "engine/reactor/signal.h"

#include "metrics/check.h"

namespace engine {

Signal::~Signal() {
    CHECK(first_ == nullptr, "a signal died while a task waits for it");
}

Task<> Signal::wait() {
    co_await wait_until(Instant::max());
}

Task<bool> Signal::wait_until(Instant deadline) {
    // A sleep that a notification cancels: so deadlines, and the simulation, come for nothing.
    Waiter waiter{.sleep = {.kind = Op::Kind::sleep, .deadline = deadline}};
    append(waiter);
    co_await perform(reactor_, waiter.sleep);
    // Its time may be up, and a notification may still have taken it from the queue before it could
    // run.
    if (!waiter.queued) co_return true;
    unlink(waiter);
    co_return false;
}

void Signal::notify_one() {
    if (first_ == nullptr) return;
    Waiter& waiter = *first_;
    unlink(waiter);
    reactor_.cancel(waiter.sleep);
}

void Signal::notify_all() {
    while (first_ != nullptr) notify_one();
}

void Signal::append(Waiter& waiter) {
    waiter.previous = last_;
    (last_ != nullptr ? last_->next : first_) = &waiter;
    last_ = &waiter;
    waiter.queued = true;
    ++count_;
}

void Signal::unlink(Waiter& waiter) {
    (waiter.previous != nullptr ? waiter.previous->next : first_) = waiter.next;
    (waiter.next != nullptr ? waiter.next->previous : last_) = waiter.previous;
    waiter.previous = waiter.next = nullptr;
    waiter.queued = false;
    --count_;
}

}  // namespace engine
