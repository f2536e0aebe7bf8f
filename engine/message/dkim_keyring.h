// DkimKeyring: the keys in force, which a reload replaces while mail is being signed.
#pragma once

#include <atomic>
#include <memory>

#include "engine/message/dkim_keys.h"

namespace engine {

/// Set by the daemon, read by every shard; any thread. Whoever signs keeps the keys that it began
/// with.
class DkimKeyring {
  public:
    std::shared_ptr<const DkimKeys> get() const { return keys_.load(std::memory_order_acquire); }
    void set(std::shared_ptr<const DkimKeys> keys) {
        keys_.store(std::move(keys), std::memory_order_release);
    }

  private:
    std::atomic<std::shared_ptr<const DkimKeys>> keys_{std::make_shared<const DkimKeys>()};
};

}  // namespace engine
