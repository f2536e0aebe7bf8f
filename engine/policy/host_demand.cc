#include "engine/policy/host_demand.h"

#include <fmt/format.h>

#include <algorithm>

namespace engine {

namespace {

constexpr uint8_t dane_ta = 2, dane_ee = 3;
constexpr uint8_t matching_whole = 0, matching_sha256 = 1, matching_sha512 = 2;

bool has_right_length(const TlsaRecord& record) {
    switch (record.matching) {
        case matching_whole:
            return !record.data.empty();
        case matching_sha256:
            return record.data.size() == 32;
        case matching_sha512:
            return record.data.size() == 64;
        default:
            return false;
    }
}

}  // namespace

bool is_usable(const TlsaRecord& record) {
    const bool usage = record.usage == dane_ta || record.usage == dane_ee;
    return usage && record.selector <= 1 && has_right_length(record);
}

TlsDemand with_sts(TlsDemand base, const StsPolicy& policy, const Route& route) {
    if (policy.mode != StsPolicy::Mode::enforce || base.use == TlsDemand::Use::never) return base;
    base.least = std::max(base.least, TlsLevel::verified);
    base.policy = "MTA-STS";
    base.hosts.clear();
    for (const MxHost& host : route.hosts) {
        const bool named = std::ranges::any_of(
            policy.mx, [&](const std::string& pattern) { return covers_host(pattern, host.name); });
        if (named) base.hosts.push_back(host.name);
    }
    if (base.hosts.empty()) {
        base.hosts = policy.mx;  // covers none of the route: the mail waits
    } else if (base.hosts.size() == route.hosts.size()) {
        base.hosts.clear();
    }
    std::ranges::sort(base.hosts);  // equal preferences are shuffled in routes
    return base;
}

TlsDemand with_dane(TlsDemand base, const std::string& host, const HostTlsa& tlsa) {
    if (tlsa.found != HostTlsa::Found::records || base.use == TlsDemand::Use::never) return base;
    std::vector<TlsaRecord> usable;
    std::ranges::copy_if(tlsa.records, std::back_inserter(usable), is_usable);
    if (usable.empty()) {
        base.tlsa_unusable = true;
        if (base.least == TlsLevel::plain) {
            base.least = TlsLevel::encrypted;
            base.policy = fmt::format("DANE of {}, none of whose TLSA records can be used", host);
        }
        return base;
    }
    base.least = TlsLevel::dane;
    base.tlsa = std::move(usable);
    base.hosts.clear();
    if (tlsa.base != host) base.names.push_back(tlsa.base);
    base.policy = fmt::format("DANE of {}", host);
    return base;
}

Task<std::expected<TlsDemand, NoRoute>> demand_for(Resolver& resolver, TlsDemand mail,
                                                   std::shared_ptr<const Route> route,
                                                   MxHost host) {
    if (!route->authenticated || mail.use == TlsDemand::Use::never) co_return mail;
    const HostTlsa tlsa = co_await resolver.tlsa(host.name, host.port);
    if (tlsa.found == HostTlsa::Found::failed) {
        co_return std::unexpected(NoRoute{.why = NoRoute::Why::failed,
                                          .code = 451,
                                          .enhanced = "4.7.5",
                                          .reason = fmt::format("{}: {}", host.name, tlsa.reason)});
    }
    co_return with_dane(std::move(mail), host.name, tlsa);
}

}  // namespace engine
