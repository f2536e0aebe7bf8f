#include "engine/reactor/signal.h"

#include "metrics/check.h"

namespace engine {

Signal::~Signal() {
    CHECK(first_ == nullptr, "a signal died while a task waits for it");
}

void Signal::Wait::await_suspend(std::coroutine_handle<> waiter) {
    sleep_.waiter = waiter;
    signal_.append(*this);
    signal_.reactor_.submit(sleep_);
}

bool Signal::Wait::await_resume() {
    // Its time may be up, and a notification may still have taken it from the queue before it could
    // run.
    if (!queued_) return true;
    signal_.unlink(*this);
    return false;
}

void Signal::notify_one() {
    if (first_ == nullptr) return;
    Wait& waiter = *first_;
    unlink(waiter);
    reactor_.cancel(waiter.sleep_);
}

void Signal::notify_all() {
    while (first_ != nullptr) notify_one();
}

void Signal::append(Wait& waiter) {
    waiter.previous_ = last_;
    (last_ != nullptr ? last_->next_ : first_) = &waiter;
    last_ = &waiter;
    waiter.queued_ = true;
    ++count_;
}

void Signal::unlink(Wait& waiter) {
    (waiter.previous_ != nullptr ? waiter.previous_->next_ : first_) = waiter.next_;
    (waiter.next_ != nullptr ? waiter.next_->previous_ : last_) = waiter.previous_;
    waiter.previous_ = waiter.next_ = nullptr;
    waiter.queued_ = false;
    --count_;
}

}  // namespace engine
