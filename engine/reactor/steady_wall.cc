#include "engine/reactor/steady_wall.h"

#include <algorithm>

namespace engine {

WallTime SteadyWall::look(Instant now, Duration machine) {
    const Duration most = (std::max(now, last_) - last_) / slew;
    last_ = std::max(now, last_);
    const Duration wanted = machine - at(last_);
    offset_ += std::clamp(wanted - offset_, -most, most);
    lag_ = wanted - offset_;
    return WallTime(std::chrono::floor<std::chrono::milliseconds>(at(last_) + offset_));
}

}  // namespace engine
