// call: asks another shard and waits for its answer.
#pragma once

#include <concepts>
#include <coroutine>
#include <optional>
#include <type_traits>

#include "engine/reactor/shards.h"
#include "engine/reactor/task.h"

namespace engine {

namespace detail {

template <class T>
struct Answer {
    using type = T;
    static constexpr bool is_task = false;
};
template <class T>
struct Answer<Task<T>> {
    using type = T;
    static constexpr bool is_task = true;
};

/// A call's state, in the caller's frame. The other shard touches it between the two messages and
/// nobody else does; the rings order the accesses.
template <class Fn>
struct Call {
    using Kind = Answer<std::invoke_result_t<Fn&>>;
    struct Nothing {};
    using Value =
        std::conditional_t<std::is_void_v<typename Kind::type>, Nothing, typename Kind::type>;

    Post& here;
    Post& there;
    Fn question;
    std::optional<Value> value;

    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> caller) {
        here.send(there.self(), [this, caller] { ask(this, caller); });
    }
    void await_resume() const noexcept {}

  private:
    // Its owner is the caller, who cannot go on before the last line here.
    struct Asked {
        struct promise_type {
            Asked get_return_object() const noexcept { return {}; }
            std::suspend_never initial_suspend() const noexcept { return {}; }
            std::suspend_never final_suspend() const noexcept { return {}; }
            void return_void() const noexcept {}
            [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
        };
    };
    static Asked ask(Call* call, std::coroutine_handle<> caller) {
        if constexpr (!std::is_void_v<typename Kind::type>) {
            if constexpr (Kind::is_task)
                call->value.emplace(co_await call->question());
            else
                call->value.emplace(call->question());
        } else if constexpr (Kind::is_task) {
            co_await call->question();
        } else {
            call->question();
        }
        call->there.send(call->here.self(), [caller] { caller.resume(); });
    }
};

}  // namespace detail

/// Runs `question` on the shard of `there` and resumes on the shard of `here`, which is the calling
/// one, with what it returned; when it returns a Task, with the Task's value. `question` lives, and
/// what it refers to must live, until then. Both posts must outlive the call; it cannot be
/// cancelled, so let the question have a deadline.
template <std::invocable Fn>
Task<typename detail::Answer<std::invoke_result_t<Fn&>>::type> call(Post& here, Post& there,
                                                                    Fn question) {
    detail::Call<Fn> state{here, there, std::move(question), std::nullopt};
    co_await state;
    if constexpr (!std::is_void_v<typename detail::Answer<std::invoke_result_t<Fn&>>::type>) {
        co_return std::move(*state.value);
    }
}

}  // namespace engine
