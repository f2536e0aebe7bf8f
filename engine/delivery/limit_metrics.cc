#include "engine/delivery/limit_metrics.h"

#include <algorithm>

#include "engine/delivery/site.h"
#include "metrics/catalog.h"

namespace engine {

namespace catalog = metrics::catalog;

namespace {

template <class InForce>
void at_least(InForce& in_force, const std::string& provider, std::string_view limit,
              double value) {
    double& known = in_force[{provider, limit}];
    known = std::max(known, value);
}

}  // namespace

void LimitMetrics::observe(const Site& site, Instant now) {
    const SitePolicy& policy = site.policy();
    if (const auto binding = site.binding())
        registry_.counter(catalog::throttled_seconds, {policy.provider, binding->limit}).add();
    const Limits& limits = policy.limits;
    InForce& in_force = site.at_rest() ? at_rest_ : awake_;
    at_least(in_force, policy.provider, "connections", limits.connections);
    if (limits.rate_per_second > 0)
        at_least(in_force, policy.provider, "rate", limits.rate_per_second);
    if (limits.connection_rate_per_second > 0)
        at_least(in_force, policy.provider, "connection_rate", limits.connection_rate_per_second);
    for (const auto& path : site.budget()->paths()) {
        const Tempo& tempo = path->tempo;
        if (tempo.rate() != Tempo::unlimited)
            at_least(in_force, policy.provider, "learned_rate", tempo.rate());
        if (tempo.connections(now) != SIZE_MAX)
            at_least(in_force, policy.provider, "learned_connections",
                     static_cast<double>(tempo.connections(now)));
    }
}

void LimitMetrics::publish() {
    for (const auto& [key, value] : at_rest_) at_least(awake_, key.first, key.second, value);
    for (const auto& [key, value] : std::exchange(awake_, {}))
        registry_.gauge(catalog::limit_effective, {key.first, key.second}).set(value);
}

}  // namespace engine
