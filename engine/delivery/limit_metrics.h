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
    /// Per provider and limit the largest value, of the sites that were observed since the last
    /// call and of those that were at rest then.
    void publish();
    /// All of these will be observed anew.
    void forget_those_at_rest() { at_rest_.clear(); }

  private:
    using InForce = std::map<std::pair<std::string, std::string_view>, double>;

    metrics::Registry& registry_;
    InForce at_rest_, awake_;
};

}  // namespace engine
