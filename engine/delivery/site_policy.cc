#include "engine/delivery/site_policy.h"

#include <algorithm>
#include <charconv>

#include "engine/delivery/suspensions.h"

namespace engine {

namespace {

constexpr std::string_view smtps = "smtps://";

TlsDemand demand_of(TlsPolicy setting) {
    switch (setting) {
        case TlsPolicy::none:
            return {.use = TlsDemand::Use::never};
        case TlsPolicy::opportunistic:
            return {};
        case TlsPolicy::required:
            return {.least = TlsLevel::encrypted, .policy = "tls = \"required\""};
        case TlsPolicy::verified:
            return {.least = TlsLevel::verified, .policy = "tls = \"verified\""};
    }
    return {};
}

/// Octets of the name's longest end that the provider has; 0: none fits.
size_t fit(const Provider& provider, const std::string& host) {
    size_t longest = 0;
    for (const std::string& suffix : provider.mx_suffix) {
        const bool whole_name = suffix.starts_with('.') && host == suffix.substr(1);
        if (whole_name || host.ends_with(suffix)) longest = std::max(longest, suffix.size());
    }
    return longest;
}

/// Of all hosts together: the worst of them.
size_t fit(const Provider& provider, const Route& route) {
    size_t worst = SIZE_MAX;
    for (const MxHost& host : route.hosts) worst = std::min(worst, fit(provider, host.name));
    return worst == SIZE_MAX ? 0 : worst;
}

const Provider* provider_of(const Settings& settings, const Route& route) {
    const Provider* best = nullptr;
    size_t best_fit = 0;
    for (const Provider& provider : settings.providers) {
        const size_t fits = fit(provider, route);
        if (fits > best_fit) {
            best = &provider;
            best_fit = fits;
        }
    }
    return best;
}

/// "host:port", "[ip]:port", or either without a port; with or without "smtps://".
MxHost split_host(std::string_view text, uint16_t default_port) {
    const bool tls_first = text.starts_with(smtps);
    if (tls_first) text.remove_prefix(smtps.size());
    MxHost host{.name = std::string(text), .port = default_port, .tls_first = tls_first};
    const size_t colon = text.rfind(':');
    if (colon == std::string_view::npos || text.ends_with(']')) return host;
    uint16_t port = 0;
    const auto [end, error] =
        std::from_chars(text.data() + colon + 1, text.data() + text.size(), port);
    if (error != std::errc{} || end != text.data() + text.size()) return host;
    host.name = std::string(text.substr(0, colon));
    host.port = port;
    return host;
}

}  // namespace

SitePolicy policy_for(const Settings& settings, const std::string& domain, const Route& route) {
    SitePolicy policy{route.site, "default", settings.limits, {}, nullptr};
    if (const Provider* provider = provider_of(settings, route)) {
        policy.provider = provider->name;
        provider->limits.lie_on(policy.limits);
    }
    const DomainSettings* own = is_detour(route.site) ? nullptr : settings_for(settings, domain);
    if (own) {
        policy.site = "domain:" + own->name;
        own->limits.lie_on(policy.limits);
        policy.credentials = own->credentials;
    }
    policy.tls = demand_of(policy.limits.tls);
    return policy;
}

const DomainSettings* settings_for(const Settings& settings, const std::string& domain) {
    const auto own = std::ranges::find(settings.domains, domain, &DomainSettings::name);
    if (own != settings.domains.end()) return &*own;
    const auto rest = std::ranges::find(settings.domains, "*", &DomainSettings::name);
    // Without a route it would make one site of all the world's.
    return rest != settings.domains.end() && !rest->route.empty() ? &*rest : nullptr;
}

TlsDemand demand_of(const TlsDemand& by_policy, const SitePolicy& site,
                    storage::TlsRequest request) {
    if (request == storage::TlsRequest::by_policy) return by_policy;
    TlsDemand demand = request == storage::TlsRequest::optional ? site.tls : by_policy;
    if (request == storage::TlsRequest::optional) {
        demand.waives_dns = true;
        return demand;
    }
    demand.use = TlsDemand::Use::when_offered;
    demand.least = std::max(demand.least, TlsLevel::verified);
    demand.require_tls = true;
    demand.policy = "REQUIRETLS";
    return demand;
}

std::shared_ptr<const Route> fixed_route(const DomainSettings& domain, uint16_t default_port) {
    auto route = std::make_shared<Route>();
    route->site = "domain:" + domain.name;
    route->expires = Instant::max();
    uint16_t preference = 0;
    for (const std::string& text : domain.route) {
        MxHost host = split_host(text, default_port);
        host.preference = preference++;
        route->hosts.push_back(std::move(host));
    }
    return route;
}

}  // namespace engine
