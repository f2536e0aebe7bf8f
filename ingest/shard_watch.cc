#include "ingest/shard_watch.h"

#include "ingest/node_shard.h"
#include "metrics/log.h"

namespace ingest {

ShardWatch::ShardWatch(const std::vector<std::unique_ptr<NodeShard>>& shards)
    : shards_(shards), seen_(shards.size()), fed_(shards.size()) {
    for (Seen& one : seen_) one.at = Clock::now();
}

bool ShardWatch::all_turned() {
    const auto now = Clock::now();
    bool all = true;
    for (size_t i = 0; i < shards_.size(); ++i) all = look(i, now) && all;
    if (all)
        for (size_t i = 0; i < shards_.size(); ++i) fed_[i] = seen_[i].turns;
    return all;
}

bool ShardWatch::look(size_t shard, Clock::time_point now) {
    Seen& seen = seen_[shard];
    const uint64_t turns = shards_[shard]->turns();
    if (turns != seen.turns) {
        if (seen.reported) metrics::log::warn("shard.turns_again", {{"shard", shard}});
        seen.turns = turns;
        seen.at = now;
        seen.reported = false;
    }
    const auto silent = now - seen.at;
    seen.silent.store(std::chrono::duration<double>(silent).count(), std::memory_order_relaxed);
    if (silent > silence_max && !seen.reported) {
        seen.reported = true;
        metrics::log::error("shard.stalled",
                            {{"shard", shard},
                             {"seconds", std::chrono::duration<double>(silent).count()},
                             {"hint",
                              "something blocks its thread; keep a stack: gdb -p PID "
                              "-batch -ex 'thread apply all bt'"}});
    }
    return turns != fed_[shard];
}

}  // namespace ingest
