#include "engine/delivery/site_policy.h"

#include <algorithm>
#include <charconv>

namespace engine {

namespace {

bool belongs_to(const Provider& provider, const Route& route) {
    return std::ranges::all_of(route.hosts, [&](const MxHost& host) {
        return std::ranges::any_of(provider.mx_suffix, [&](const std::string& suffix) {
            const bool whole_name = suffix.starts_with('.') && host.name == suffix.substr(1);
            return whole_name || host.name.ends_with(suffix);
        });
    });
}

/// "host:port", "[ip]:port", or either without a port.
MxHost split_host(std::string_view text, uint16_t default_port) {
    MxHost host{.name = std::string(text), .port = default_port};
    const size_t colon = text.rfind(':');
    if (colon == std::string_view::npos || text.ends_with(']')) return host;
    uint16_t port = 0;
    const auto [end, error] =
        std::from_chars(text.data() + colon + 1, text.data() + text.size(), port);
    if (error != std::errc{} || end != text.data() + text.size()) return host;
    return {.name = std::string(text.substr(0, colon)), .port = port};
}

}  // namespace

SitePolicy policy_for(const Settings& settings, const std::string& domain, const Route& route) {
    SitePolicy policy{route.site, "default", settings.limits, {}};
    const auto provider = std::ranges::find_if(settings.providers, [&](const Provider& candidate) {
        return belongs_to(candidate, route);
    });
    if (provider != settings.providers.end()) {
        policy.provider = provider->name;
        policy.limits = provider->limits;
    }
    const auto own = std::ranges::find(settings.domains, domain, &DomainSettings::name);
    if (own != settings.domains.end()) {
        policy.site = "domain:" + domain;
        policy.limits = own->limits;
    }
    return policy;
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
