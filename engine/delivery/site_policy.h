// Which limits apply to mail for a domain, and to which site they belong.
#pragma once

#include <memory>
#include <string>

#include "engine/delivery/settings.h"
#include "engine/dns/resolver.h"
#include "engine/net/tls.h"
#include "storage/types.h"

namespace engine {

struct SitePolicy {
    std::string site;  // the route's site; "domain:<name>" where the domain has settings of its own
    std::string provider;  // "default" when none matches; a metrics label
    Limits limits;
    std::shared_ptr<const Credentials> credentials;  // to log in with; or null

    /// The operator's demand, before the domain's and the host's own policies.
    TlsDemand tls() const;
};

SitePolicy policy_for(const Settings& settings, const std::string& domain, const Route& route);

/// The [[domain]] for a recipient domain: its own, or the relay for all
/// others ("*", with a route); nullptr: neither.
const DomainSettings* settings_for(const Settings& settings, const std::string& domain);

/// What all mail for a domain demands (`by_policy`: settings and MTA-STS), changed by what a job
/// asks for (RFC 8689): REQUIRETLS adds to it, "TLS-Required: No" leaves the operator's settings
/// only.
TlsDemand demand_of(const TlsDemand& by_policy, const SitePolicy& site,
                    storage::TlsRequest request);

/// A [[domain]]'s fixed route; it never expires. The configuration has checked its hosts.
std::shared_ptr<const Route> fixed_route(const DomainSettings& domain, uint16_t default_port);

}  // namespace engine
