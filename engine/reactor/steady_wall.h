// SteadyWall: the engine's wall clock. It starts with the machine's and follows it by running a
// tenth faster or slower at most, so that a clock which is set by a day, forwards or backwards,
// makes no mail due, lets none expire and holds none back.
#pragma once

#include <chrono>

#include "engine/reactor/reactor.h"

namespace engine {

class SteadyWall {
  public:
    using Duration = std::chrono::nanoseconds;
    static constexpr int slew = 10;  // one part in so many

    /// `machine`: what the machine's wall clock says at `now`, since the epoch.
    SteadyWall(Instant now, Duration machine) : last_(now), offset_(machine - at(now)) {}

    /// What time it is. `now` never goes back; then this does not either.
    WallTime look(Instant now, Duration machine);

    /// How far the machine's clock was ahead of this one at the last look.
    Duration lag() const { return lag_; }

  private:
    static Duration at(Instant now) { return now.time_since_epoch(); }

    Instant last_;
    Duration offset_;  // of the wall clock from the monotonic one
    Duration lag_{0};
};

}  // namespace engine
