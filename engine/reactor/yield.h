// yield: lets everything else that is ready run first.
#pragma once

#include "engine/reactor/reactor.h"

namespace engine {

struct Yield {
    Reactor& reactor;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) const { reactor.post(waiter); }
    void await_resume() const noexcept {}
};
inline Yield yield(Reactor& reactor) { return {reactor}; }

}  // namespace engine
