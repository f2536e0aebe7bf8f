// Busy: how much of its time a simulated shard would have worked. No time passes in one, so this is
// made up: for some seconds it has room, for some it has not, and sites are spread over all shards
// and come back.
#pragma once

#include <random>

#include "metrics/catalog.h"
#include "metrics/metric.h"
#include "tests/sim/plan.h"
#include "tests/sim/world.h"

namespace sim {

class Busy {
  public:
    /// Not drawn from the world's randomness: it shall not change what else a seed decides.
    Busy(World& world, const Plan& plan, size_t shard, metrics::Registry& metrics)
        : world_(world),
          spread_(metrics.gauge(metrics::catalog::sites_spread)),
          random_(static_cast<uint64_t>(plan.jobs.front().at.count()) + shard),
          on_(plan.jobs.front().at.count() % 3 != 0) {}

    /// Asked once a second.
    double operator()() {
        if (spread_.value() > last_) world_.count(Fault::spread);
        last_ = spread_.value();
        if (!on_) return 0;
        if (left_ == 0) {
            busy_ = random_() % 3 > 0;
            left_ = 1 + random_() % 20;
            if (busy_) world_.count(Fault::busy_shard);
        }
        --left_;
        return busy_ ? 0.95 : 0.05;
    }

  private:
    World& world_;
    metrics::Gauge& spread_;
    std::mt19937_64 random_;
    bool on_, busy_ = false;
    uint64_t left_ = 0;
    double last_ = 0;
};

}  // namespace sim
