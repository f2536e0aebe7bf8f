#include "engine/delivery/site_policy.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "engine/delivery/explanation.h"
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

/// The longest end of the name that the provider has; empty: none fits.
std::string_view fit(const Provider& provider, const std::string& host) {
    std::string_view longest;
    for (const std::string& suffix : provider.mx_suffix) {
        const bool whole_name = suffix.starts_with('.') && host == suffix.substr(1);
        if ((whole_name || host.ends_with(suffix)) && suffix.size() > longest.size())
            longest = suffix;
    }
    return longest;
}

/// Of all hosts together: the worst of them.
std::string_view fit(const Provider& provider, const Route& route) {
    std::optional<std::string_view> worst;
    for (const MxHost& host : route.hosts) {
        const std::string_view fits = fit(provider, host.name);
        if (!worst || fits.size() < worst->size()) worst = fits;
    }
    return worst.value_or("");
}

const Provider* provider_of(const Settings& settings, const Route& route) {
    const Provider* best = nullptr;
    size_t best_fit = 0;
    for (const Provider& provider : settings.providers) {
        const size_t fits = fit(provider, route).size();
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

/// The domain's own settings are for its own hosts.
const DomainSettings* own_settings(const Settings& settings, const std::string& domain,
                                   const Route& route) {
    return is_detour(route.site) ? nullptr : settings_for(settings, domain);
}

}  // namespace

std::vector<std::pair<std::string, Limits>> limits_by_section(const Settings& settings,
                                                              const std::string& domain,
                                                              const Route& route) {
    std::vector<std::pair<std::string, Limits>> sections{{"[delivery]", settings.limits}};
    const auto lay = [&](std::string section, const LimitLayer& layer) {
        Limits limits = sections.back().second;
        layer.lie_on(limits);
        sections.emplace_back(std::move(section), std::move(limits));
    };
    if (const Provider* provider = provider_of(settings, route))
        lay("[[provider]] " + provider->name, provider->limits);
    if (const DomainSettings* own = own_settings(settings, domain, route))
        lay("[[domain]] " + own->name, own->limits);
    return sections;
}

std::string suffix_of(const Settings& settings, const Route& route) {
    const Provider* provider = provider_of(settings, route);
    return provider ? std::string(fit(*provider, route)) : std::string();
}

TlsDemand SitePolicy::tls() const {
    return demand_of(limits.tls);
}

SitePolicy policy_for(const Settings& settings, const std::string& domain, const Route& route) {
    SitePolicy policy{route.site, "default", settings.limits, nullptr};
    if (const Provider* provider = provider_of(settings, route)) {
        policy.provider = provider->name;
        provider->limits.lie_on(policy.limits);
    }
    if (const DomainSettings* own = own_settings(settings, domain, route)) {
        policy.site = "domain:" + own->name;
        own->limits.lie_on(policy.limits);
        policy.credentials = own->credentials;
    }
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
    TlsDemand demand = request == storage::TlsRequest::optional ? site.tls() : by_policy;
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
