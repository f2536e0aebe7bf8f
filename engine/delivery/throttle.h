// Throttle: how a site goes slower when its hosts say that we are too fast. A hold on everything
// that would begin a transaction, short at first and longer while the same is said again behind it.
// Bounded and simple; it knows nothing of rates.
#pragma once

#include <algorithm>

#include "engine/reactor/reactor.h"

namespace engine {

class Throttle {
  public:
    static constexpr std::chrono::milliseconds hold_first = std::chrono::seconds(1);
    static constexpr std::chrono::milliseconds hold_max = std::chrono::seconds(60);

    /// A host has said so. What many connections hear during one hold is one complaint. Returns the
    /// length of the hold that begins now, zero when one runs already.
    std::chrono::milliseconds complained(Instant now) {
        if (now < until_) return {};
        hold_ = std::clamp(hold_ * 2, hold_first, hold_max);
        until_ = now + hold_;
        return hold_;
    }
    /// Mail was taken behind a hold: the next one is half as long.
    void took(Instant now) {
        if (hold_.count() == 0 || now < until_) return;
        hold_ /= 2;
        if (hold_ < hold_first) hold_ = {};
    }
    /// Nothing is begun before.
    Instant until() const { return until_; }

  private:
    std::chrono::milliseconds hold_{};
    Instant until_ = Instant::min();
};

}  // namespace engine
