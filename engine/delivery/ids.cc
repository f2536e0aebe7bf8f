#include "engine/delivery/ids.h"

#include "metrics/check.h"

namespace engine {

namespace {
constexpr uint32_t counters = 1U << storage::job_counter_bits;
}

IdMaker::IdMaker(ShardId shard, storage::JobId floor)
    : shard_(shard),
      time_(storage::parts_of(floor).time),  // the next millisecond is free on every shard
      counter_(counters - 1) {
    CHECK(shard < shards_max, "more shards than an id has room for");
}

storage::JobId IdMaker::next(storage::WallTime now) {
    if (now > time_) {
        time_ = now;
        counter_ = 0;
    } else if (++counter_ == counters) {
        // The counter is full, or the clock stands behind the floor: run ahead of it.
        time_ += std::chrono::milliseconds(1);
        counter_ = 0;
    }
    return storage::make_job_id(
        {.time = time_, .shard = shard_, .counter = static_cast<uint16_t>(counter_)});
}

}  // namespace engine
