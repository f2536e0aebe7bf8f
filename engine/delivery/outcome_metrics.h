// Counts what became of deliveries, once their commit is synced.
#pragma once

#include <array>
#include <string>

#include "engine/delivery/outcomes.h"
#include "metrics/metric.h"

namespace engine {

class OutcomeMetrics {
  public:
    explicit OutcomeMetrics(metrics::Registry& registry);
    void count(const Decision& decision, WallTime now);

  private:
    /// What deliveries that ended well, all with the same reply, count for: nearly all are like the
    /// one before, and a counter is looked up by its labels' texts.
    struct Delivered {
        std::string provider, stage;
        uint16_t code = 0;
        metrics::Counter *attempts = nullptr, *completed = nullptr, *replies = nullptr;
    };
    void count_delivered(const storage::Event& event, std::string_view provider);

    metrics::Registry& registry_;
    Delivered last_;
    std::array<metrics::Histogram*, 2> duration_;  // by class
};

}  // namespace engine
