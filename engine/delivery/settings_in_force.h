// SettingsInForce: the settings that one shard goes by, which a reload replaces between two turns.
// All parts of the shard look here each time, so that they change at one moment.
#pragma once

#include <atomic>
#include <memory>
#include <utility>

#include "engine/delivery/settings.h"

namespace engine {

class SettingsInForce {
  public:
    explicit SettingsInForce(std::shared_ptr<const Settings> settings)
        : now_(settings), shared_(std::move(settings)) {}
    SettingsInForce(const SettingsInForce&) = delete;
    SettingsInForce& operator=(const SettingsInForce&) = delete;

    // On the shard's thread. What is seen through them is gone after a reload: no reference to it
    // may be kept over a co_await.
    const Settings& operator*() const { return *now_; }
    const Settings* operator->() const { return now_.get(); }

    /// How many there have been. Each shard is given all of them, so it means the same on each.
    uint64_t number() const { return number_; }

    /// Any thread. A lookup through it costs a few times what the operators above do.
    std::shared_ptr<const Settings> snapshot() const {
        return shared_.load(std::memory_order_acquire);
    }

    /// On the shard's thread. Returns what was in force before.
    std::shared_ptr<const Settings> use(std::shared_ptr<const Settings> next) {
        shared_.store(next, std::memory_order_release);
        ++number_;
        return std::exchange(now_, std::move(next));
    }

  private:
    std::shared_ptr<const Settings> now_;
    uint64_t number_ = 0;
    std::atomic<std::shared_ptr<const Settings>> shared_;
};

}  // namespace engine
