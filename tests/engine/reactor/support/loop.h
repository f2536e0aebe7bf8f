// A UringReactor with the few things that most tests do with it.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "engine/reactor/scope.h"
#include "engine/reactor/uring_reactor.h"

namespace engine::test {

struct Loop {
    explicit Loop(UringOptions options = {.entries = 64, .buffer_count = 64}) {
        auto created = UringReactor::create(options);
        if (!created) ADD_FAILURE() << created.error().what;
        reactor = std::move(*created);
    }
    /// Turns until all tasks have ended; fails the test when that takes longer than a minute.
    void run() {
        const Instant limit = std::chrono::steady_clock::now() + 60s;
        while (scope.running() > 0) {
            reactor->turn(limit);
            if (reactor->now() >= limit) {
                ADD_FAILURE() << "the tasks did not end within a minute";
                std::abort();  // frames are still referenced: nothing can be unwound
            }
        }
        settle();
    }
    /// Lets the closes finish.
    void settle() {
        for (int i = 0; i < 10 && reactor->turn(reactor->now()); ++i) continue;
    }
    std::unique_ptr<UringReactor> reactor;
    Scope scope;
};

}  // namespace engine::test
