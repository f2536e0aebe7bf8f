// LimitMetrics: what is in force at the sites of a shard, once a second, for the operator's graphs.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "engine/reactor/reactor.h"
#include "metrics/metric.h"

namespace engine {

class Site;

class LimitMetrics {
  public:
    explicit LimitMetrics(metrics::Registry& registry) : registry_(registry) {}

    /// Counts a second for what holds the site's mail back, if anything does.
    void observe(const Site& site, Instant now);
    /// Of the sites that were observed: per provider and limit the largest value.
    void publish();

  private:
    void at_least(const std::string& provider, std::string_view limit, double value);

    metrics::Registry& registry_;
    std::map<std::pair<std::string, std::string_view>, double> in_force_;
};

}  // namespace engine
