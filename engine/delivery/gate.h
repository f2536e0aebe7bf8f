// Gate: whether mail may come in. The disk is looked at once a second, off the shards; every intake
// reads the verdict.
#pragma once

#include <atomic>
#include <optional>

#include "engine/delivery/intake.h"
#include "engine/delivery/settings.h"

namespace engine {

class Gate {
  public:
    /// Judges what was seen of the store; called from one shard.
    void observe(const Settings& settings, uint64_t free_bytes, uint64_t data_bytes, bool healthy);
    void close_for_drain() { draining_.store(true, std::memory_order_relaxed); }
    bool draining() const { return draining_.load(std::memory_order_relaxed); }
    std::optional<Refusal> refusal() const;

  private:
    static constexpr uint8_t open = 255;
    std::atomic<uint8_t> why_{open};
    std::atomic<bool> draining_{false};
};

/// The words that a submitter gets.
Refusal refusal_for(Refusal::Why why);
/// What a failed commit means to a submitter.
Refusal refusal_for(const storage::Error& error);

}  // namespace engine
