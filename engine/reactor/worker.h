// Worker: leaves the shard for blocking work or long computation and comes back to it.
#pragma once

#include <functional>

#include "engine/reactor/task.h"

namespace engine {

class Worker {
  public:
    virtual ~Worker() = default;
    /// Runs `work` elsewhere and resumes on this shard. A worker of one thread runs its work in the order it was given, and
    /// resumes its waiters in that order: storage relies on it (a read after a commit sees the commit). A pool does not.
    virtual Task<> run(std::move_only_function<void()> work) = 0;
    virtual size_t backlog() const = 0;  // given and not yet resumed
};

}  // namespace engine
