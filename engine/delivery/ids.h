// Job ids: 42 bits of milliseconds since 2020, 6 bits of the shard, 16 bits of a counter.
// Time-ordered, so that the newest jobs lie together on disk, and never repeated over restarts or
// when the clock jumps back.
#pragma once

#include "engine/reactor/shards.h"
#include "storage/types.h"

namespace engine {

class IdMaker {
  public:
    static constexpr unsigned shard_bits = 6, counter_bits = 16;

    /// Ids will be above `floor`, the highest id that the data_dir has seen.
    IdMaker(ShardId shard, storage::JobId floor);
    storage::JobId next(storage::WallTime now);

  private:
    uint64_t shard_;
    uint64_t milliseconds_ = 0;  // of the last id
    uint64_t counter_ = 0;
};

/// When the id was made; never later than now unless the clock jumped.
storage::WallTime time_of(storage::JobId id);

}  // namespace engine
