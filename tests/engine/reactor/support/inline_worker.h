// A worker that does its work at once, on the thread that asks.
#pragma once

#include "engine/reactor/worker.h"

namespace engine {

class InlineWorker : public Worker {
  public:
    Task<> run(std::move_only_function<void()> work) override {
        ++runs;
        work();
        co_return;
    }
    size_t backlog() const override { return 0; }
    size_t runs = 0;
};

}  // namespace engine
