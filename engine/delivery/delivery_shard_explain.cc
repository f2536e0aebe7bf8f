// What a shard says of mail for a domain whose home it is.
#include "engine/delivery/delivery_shard.h"
#include "engine/policy/host_demand.h"

namespace engine {

namespace {

bool is_about(const Suspension& order, const std::string& domain, const Explanation& said) {
    const Reach& reach = order.reach;
    const auto holds = [](const std::optional<std::string>& asked, const std::string& is) {
        return !asked || *asked == is;
    };
    return holds(reach.domain, domain) && holds(reach.provider, said.provider) &&
           holds(reach.site, said.site);
}

}  // namespace

std::vector<SourceExplanation> stricter_sources(const Settings& settings, const Limits& limits) {
    std::vector<SourceExplanation> stricter;
    for (const SourceSettings& source : settings.sources) {
        SourceExplanation one{source.name, limits};
        source.limits.tighten(one.limits);
        if (one.limits != limits) stricter.push_back(std::move(one));
    }
    return stricter;
}

std::vector<std::pair<TotalKey, TotalLimits>> totals_for(const Settings& settings,
                                                         const std::string& provider) {
    std::vector<std::pair<TotalKey, TotalLimits>> totals;
    for (auto& [key, limits] : totals_of(settings))
        if (key.of != TotalOf::provider || key.name == provider) totals.emplace_back(key, limits);
    return totals;
}

/// The same questions, in the same order, as mail that is due asks them (Home::resolve).
Task<Explanation> DeliveryShard::explain(std::string domain) {
    Explanation said;
    if (sts_) said.sts = co_await sts_->policy_of(domain);
    std::shared_ptr<const Route> route;
    const DomainSettings* own = settings_for(*settings_, domain);
    if (own && !own->route.empty()) {
        route = fixed_route(*own, settings_->port);
        said.route_of = "[[domain]] " + own->name;
        said.sts = {};  // its policy is the operator's alone
    } else {
        auto found = co_await resolver_.route(domain);
        if (found)
            route = *found;
        else
            said.no_route = found.error();
    }
    if (route) co_await explain_way(&said, domain, std::move(route));
    for (const Suspension& order : orders_.suspensions().list())
        if (is_about(order, domain, said)) said.orders.push_back(order);
    co_return said;
}

Task<> DeliveryShard::explain_way(Explanation* said, std::string domain,
                                  std::shared_ptr<const Route> route) {
    const SitePolicy policy = policy_for(*settings_, domain, *route);
    said->implicit = route->implicit;
    said->authenticated = route->authenticated;
    if (route->expires != Instant::max())
        said->route_left = std::chrono::ceil<std::chrono::milliseconds>(
            std::max(route->expires - parts_.reactor.now(), Instant::duration{}));
    said->site = policy.site;
    said->provider = policy.provider;
    said->suffix = suffix_of(*settings_, *route);
    if (policy.credentials) said->log_in = policy.credentials->user;
    said->limits = limits_by_section(*settings_, domain, *route);
    said->sources = stricter_sources(*settings_, policy.limits);
    said->totals = totals_for(*settings_, policy.provider);
    const TlsDemand of_mail =
        said->sts.policy ? with_sts(policy.tls(), *said->sts.policy, *route) : policy.tls();
    for (const MxHost& host : route->hosts) {
        if (said->hosts.size() == Explanation::hosts_max) break;
        HostExplanation& one = said->hosts.emplace_back(HostExplanation{.host = host});
        const auto endpoints = co_await resolver_.addresses(host.name, host.port);
        if (!endpoints) {
            one.problem = endpoints.error().reason;
        } else {
            for (const Endpoint& endpoint : *endpoints)
                one.addresses.push_back(endpoint.address.ip());
        }
        const auto demand = co_await demand_for(resolver_, of_mail, route, host);
        if (demand)
            one.tls = *demand;
        else
            one.no_tls = demand.error().reason;
        if (demand && !may_go_to(*demand, host.name))
            one.problem = demand->policy + " does not name this host";
    }
}

}  // namespace engine
