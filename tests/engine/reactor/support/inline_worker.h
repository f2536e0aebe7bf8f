// A worker that does its work at once, on the thread that asks.
#pragma once

#include "engine/reactor/worker.h"

namespace engine {

class InlineWorker final : public Worker {
  public:
    Task<> run(std::move_only_function<void()> work) override {
        work();
        co_return;
    }
    size_t backlog() const override { return 0; }
};

}  // namespace engine
