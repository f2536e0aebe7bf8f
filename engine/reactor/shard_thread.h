// ShardThread: a thread that turns a reactor until it is told to stop.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "engine/reactor/reactor.h"

namespace engine {

class ShardThread final : public Source {
  public:
    /// Starts at once. The thread is called `name` (at most 15 characters of it) and stays on `cpu`
    /// when one is given. `start` runs on it before the first turn: that is where a shard spawns
    /// its tasks.
    ShardThread(Reactor& reactor, const std::string& name, std::optional<int> cpu,
                std::move_only_function<void()> start);
    ShardThread(const ShardThread&) = delete;
    ShardThread& operator=(const ShardThread&) = delete;
    ~ShardThread() override;  // stops

    /// Any thread. Ends the loop after the current turn; what should end in order (tasks,
    /// connections) must have ended before. Returns when the thread is gone. Idempotent.
    void stop();

    bool drain() override { return false; }
    bool pending() const override { return stopping_.load(std::memory_order_acquire); }

  private:
    void run(std::move_only_function<void()> start);

    Reactor& reactor_;
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

}  // namespace engine
