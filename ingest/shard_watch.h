// ShardWatch: whether every shard's loop still turns. The main thread looks once a second; a shard
// turns at least that often, because it publishes its state then.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <vector>

namespace ingest {

class NodeShard;

class ShardWatch {
  public:
    using Clock = std::chrono::steady_clock;
    static constexpr std::chrono::seconds silence_max{5};  // then the log says so

    explicit ShardWatch(const std::vector<std::unique_ptr<NodeShard>>& shards);

    /// On the main thread. True when every shard has turned since the last time that it was true.
    bool all_turned();
    /// Any thread: for how long this shard has not turned, as of the last look.
    double silent_seconds(size_t shard) const {
        return seen_[shard].silent.load(std::memory_order_relaxed);
    }

  private:
    struct Seen {
        uint64_t turns = 0;
        Clock::time_point at;
        bool reported = false;
        std::atomic<double> silent{0};
    };
    bool look(size_t shard, Clock::time_point now);

    const std::vector<std::unique_ptr<NodeShard>>& shards_;
    std::vector<Seen> seen_;
    std::vector<uint64_t> fed_;  // turns of each when all had turned
};

}  // namespace ingest
