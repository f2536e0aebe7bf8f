// LiveHistory: the last quarter of an hour at a glance, so that who begins to look sees more than
// this moment. The counts of all mail once a second, in a ring; the first shard has it.
#pragma once

#include <array>
#include <string>

#include "storage/types.h"

namespace ingest {

class LiveHistory {
  public:
    static constexpr size_t seconds_max = 900;

    /// Once a second.
    void add(storage::WallTime time, const storage::JobCounts& totals);
    /// `{"times":[…],"accepted":[…],…}`: seconds since 1970, and what came a second.
    std::string json() const;

  private:
    struct Point {
        storage::WallTime time{};
        uint64_t accepted = 0, delivered = 0, deferred = 0, bounced = 0;
    };
    const Point& point(size_t place) const { return points_[(first_ + place) % points_.size()]; }

    std::array<Point, seconds_max + 1> points_{};
    size_t first_ = 0, count_ = 0;
};

}  // namespace ingest
