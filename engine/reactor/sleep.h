// Waiting for a time.
#pragma once

#include "engine/reactor/reactor.h"
#include "engine/reactor/task.h"

namespace engine {

/// Not before `deadline`, and at most a turn and a millisecond after it. Always suspends.
inline Task<> sleep_until(Reactor& reactor, Instant deadline) {
    Op sleep{.kind = Op::Kind::sleep, .deadline = deadline};
    co_await perform(reactor, sleep);
}

inline Task<> sleep_for(Reactor& reactor, std::chrono::nanoseconds length) {
    Op sleep{.kind = Op::Kind::sleep, .deadline = reactor.now() + length};
    co_await perform(reactor, sleep);
}

}  // namespace engine
