// BusyPart: which part of the time since it was last asked a loop has worked.
#pragma once

#include <algorithm>
#include <chrono>
#include <utility>

#include "engine/reactor/uring_reactor.h"

namespace ingest {

class BusyPart {
  public:
    explicit BusyPart(const engine::UringReactor& reactor) : reactor_(reactor) {}
    double operator()() {
        const engine::Instant now = reactor_.now();
        const auto busy = reactor_.stats().busy;
        const std::chrono::duration<double> worked = busy - std::exchange(busy_, busy);
        const std::chrono::duration<double> passed = now - std::exchange(at_, now);
        return passed.count() > 0 ? std::min(worked / passed, 1.0) : 0;
    }

  private:
    const engine::UringReactor& reactor_;
    engine::Instant at_{};
    std::chrono::nanoseconds busy_{0};
};

}  // namespace ingest
