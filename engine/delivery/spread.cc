#include "engine/delivery/spread.h"

#include <algorithm>

#include "metrics/check.h"

namespace engine {

bool SpreadRule::is_hot(const SiteLoad& load, double above) const {
    return !load.held && load.part >= part_least && load.busy >= above &&
           load.least_busy <= load.busy * room_part;
}

/// One shard would do, with something to spare: or it would go to and fro.
bool SpreadRule::is_cold(const SiteLoad& load, double above) const {
    return load.held || load.part == 0 || load.busy * load.shards < above * 0.75;
}

bool SpreadRule::look(const SiteLoad& load, double above) {
    const bool other_way = spread_ ? is_cold(load, above) : is_hot(load, above);
    looks_ = other_way ? looks_ + 1 : 0;
    if (looks_ == (spread_ ? cold_looks : hot_looks)) {
        spread_ = !spread_;
        looks_ = 0;
    }
    return spread_;
}

ShardId Deal::next(uint64_t link) {
    Out& out = out_[link];
    if (out.by_shard.empty()) out.by_shard.resize(shards_);
    if (out.left == 0) {
        const auto least = std::ranges::min_element(out.by_shard);
        out.last = static_cast<ShardId>(least - out.by_shard.begin());
        out.left = run;
    }
    --out.left;
    ++out.by_shard[out.last];
    ++out.sum;
    return out.last;
}

void Deal::back(uint64_t link, ShardId shard) {
    const auto found = out_.find(link);
    CHECK(found != out_.end() && found->second.by_shard.at(shard) > 0,
          "a loan came home from a shard that it was not dealt to");
    --found->second.by_shard[shard];
    if (--found->second.sum == 0) out_.erase(found);
}

}  // namespace engine
