// Which limits apply to mail for a domain, and to which site they belong.
#pragma once

#include <memory>
#include <string>

#include "engine/delivery/settings.h"
#include "engine/dns/resolver.h"
#include "engine/net/tls.h"

namespace engine {

struct SitePolicy {
    std::string site;  // the route's site; "domain:<name>" where the domain has settings of its own
    std::string provider;  // "default" when none matches; a metrics label
    Limits limits;
    TlsDemand tls;  // the operator's, before the domain's and the host's own policies
};

SitePolicy policy_for(const Settings& settings, const std::string& domain, const Route& route);

/// A [[domain]]'s fixed route; it never expires. The configuration has checked its hosts.
std::shared_ptr<const Route> fixed_route(const DomainSettings& domain, uint16_t default_port);

}  // namespace engine
