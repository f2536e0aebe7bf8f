// IdMaker: job ids that rise with time and differ between shards. Over restarts and set clocks
// none is given twice of whose job anything was stored. storage/ids.h has their layout.
#pragma once

#include "engine/reactor/shards.h"
#include "storage/ids.h"

namespace engine {

class IdMaker {
  public:
    static constexpr ShardId shards_max = 1U << storage::job_shard_bits;

    /// Ids will be above `floor`, the highest id that the data_dir has seen.
    IdMaker(ShardId shard, storage::JobId floor);
    storage::JobId next(storage::WallTime now);

  private:
    ShardId shard_;
    storage::WallTime time_;  // of the last id
    uint32_t counter_;
};

}  // namespace engine
