// Scope: the problem is a task that outlives what it uses. A Scope owns the tasks it started and must be joined before
// it dies, so every running task has somebody who waits for it.
#pragma once

#include <coroutine>
#include <cstddef>

#include "engine/reactor/task.h"

namespace engine {

class Scope {
  public:
    Scope() = default;
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    ~Scope() { CHECK(running_ == 0, "a scope died while its tasks were running"); }

    /// Starts the task at once, on this shard; it runs until its first suspension before spawn returns.
    /// Parameters of the task must be values, or references to what outlives the scope.
    void spawn(Task<> task) {
        ++running_;
        drive(this, std::move(task));
    }
    size_t running() const { return running_; }

    /// Resumes when no task runs any more, those included that are spawned while it waits. One joiner at a time.
    Task<> join() {
        while (running_ > 0) co_await Joined{*this};
    }

  private:
    struct Detached {
        struct promise_type {
            Detached get_return_object() const noexcept { return {}; }
            std::suspend_never initial_suspend() const noexcept { return {}; }
            std::suspend_never final_suspend() const noexcept { return {}; }
            void return_void() const noexcept {}
            [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
        };
    };
    struct Joined {
        Scope& scope;
        bool await_ready() const noexcept { return scope.running_ == 0; }
        void await_suspend(std::coroutine_handle<> joiner) const noexcept {
            CHECK(!scope.joiner_, "a scope has two joiners");
            scope.joiner_ = joiner;
        }
        void await_resume() const noexcept {}
    };
    static Detached drive(Scope* scope, Task<> task) {
        {
            Task<> owned = std::move(task);
            co_await owned;
        }  // the task's frame is gone before the joiner may destroy what it used
        if (--scope->running_ == 0 && scope->joiner_) std::exchange(scope->joiner_, nullptr).resume();
    }

    size_t running_ = 0;
    std::coroutine_handle<> joiner_;
};

}  // namespace engine
