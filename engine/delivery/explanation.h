// What there is to say of mail for a domain: where it goes and why, under which limits and orders.
// Plain values, for operators.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "engine/delivery/site_policy.h"
#include "engine/delivery/suspensions.h"
#include "engine/policy/sts_policies.h"

namespace engine {

struct HostExplanation {
    MxHost host;
    std::vector<std::string> addresses;
    std::string problem;  // why it has none, or none of ours may go there
    TlsDemand tls;        // of ordinary mail at this host: settings, MTA-STS and DANE together
    std::string no_tls;   // why that could not be found out: the host is left out
};

/// A source whose own limits are stricter than those of the site.
struct SourceExplanation {
    std::string name;
    Limits limits;  // what holds of its connections there
};

struct Explanation {
    static constexpr size_t hosts_max = 20;

    std::optional<NoRoute> no_route;  // then the rest is empty, but for the orders
    std::string route_of;             // "[[domain]] x.test"; empty: the DNS
    bool implicit = false;            // no MX: the domain itself
    bool authenticated = false;       // by DNSSEC
    std::optional<std::chrono::milliseconds> route_left;  // until the DNS is asked again
    std::vector<HostExplanation> hosts;
    std::string site, provider;
    std::string suffix;  // by which the provider was found
    std::string log_in;  // user at the hosts of the route
    /// Section by section, what holds with it and those before: the defaults first, the last
    /// counts.
    std::vector<std::pair<std::string, Limits>> limits;
    std::vector<SourceExplanation> sources;
    /// Those that its mail may count for: of the provider, and of every pool, source and tenant.
    std::vector<std::pair<TotalKey, TotalLimits>> totals;
    StsAnswer sts;
    std::vector<Suspension> orders;  // that are about some or all of its mail
};

/// The sections whose limits lie on each other for this mail, and what holds with each.
std::vector<std::pair<std::string, Limits>> limits_by_section(const Settings& settings,
                                                              const std::string& domain,
                                                              const Route& route);
/// The sources that tighten `limits`, those of a site.
std::vector<SourceExplanation> stricter_sources(const Settings& settings, const Limits& limits);
/// The totals that mail to a site of this provider may count for.
std::vector<std::pair<TotalKey, TotalLimits>> totals_for(const Settings& settings,
                                                         const std::string& provider);
/// The suffix by which the provider was found: that of the host that fits worst. Empty: none was.
std::string suffix_of(const Settings& settings, const Route& route);

}  // namespace engine
