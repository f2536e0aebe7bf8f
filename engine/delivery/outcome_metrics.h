// Counts what became of deliveries, once their commit is synced.
#pragma once

#include <array>

#include "engine/delivery/outcomes.h"
#include "metrics/metric.h"

namespace engine {

class OutcomeMetrics {
  public:
    explicit OutcomeMetrics(metrics::Registry& registry);
    void count(const Decision& decision, WallTime now);

  private:
    metrics::Registry& registry_;
    std::array<metrics::Histogram*, 2> duration_;  // by class
};

}  // namespace engine
