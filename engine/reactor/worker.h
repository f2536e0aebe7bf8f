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
    /// The same for work of a millisecond or less. Its end may wait a little for the ends of others like it, so that a
    /// shard is woken once for several of them.
    [[clang::coro_wrapper]] virtual Task<> run_briefly(std::move_only_function<void()> work) {
        return run(std::move(work));
    }
    virtual size_t backlog() const = 0;  // given and not yet resumed
    /// So much is given that its threads have work for milliseconds: whoever gives more only waits longer.
    virtual bool saturated() const { return false; }
};

}  // namespace engine
