// What TLS a host must show before mail goes to it: the demand of the mail (settings, MTA-STS,
// REQUIRETLS) and what DNS says of the host's certificate (DANE) put together. Pure rules, and the
// one function that asks for the records.
#pragma once

#include <expected>

#include "engine/dns/resolver.h"
#include "engine/net/tls.h"
#include "engine/policy/sts_policy.h"

namespace engine {

/// Whether a client may use the record (RFC 7672 3.1): DANE-TA or DANE-EE, of the certificate or
/// its key, whole or by a digest of the right length. PKIX-TA and PKIX-EE are not for mail.
bool is_usable(const TlsaRecord& record);

/// The demand of mail for a domain with this policy. `enforce`: a valid certificate of a host that
/// the policy names. Domains whose policies name all hosts of their common route have equal
/// demands, so that they share connections. What an operator has set to `never` stays.
TlsDemand with_sts(TlsDemand base, const StsPolicy& policy, const Route& route);

/// Usable records: the certificate must match one of them, and MTA-STS has no say any more (RFC
/// 8461 2). Records, but none that is usable: encrypted, by whomever (RFC 7672 2.2).
TlsDemand with_dane(TlsDemand base, const std::string& host, const HostTlsa& tlsa);

/// The whole demand for one host of `route`: asks for its TLSA records when the route to it is
/// authenticated. Call it before may_go_to(), which it may widen, and not for mail that waives all
/// policy ("TLS-Required: No"). The error is the reason to try the next host, or later: the records
/// could not be looked up.
Task<std::expected<TlsDemand, NoRoute>> demand_for(Resolver& resolver, TlsDemand mail,
                                                   std::shared_ptr<const Route> route, MxHost host);

}  // namespace engine
