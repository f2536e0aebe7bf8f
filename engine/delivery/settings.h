// What an operator may set about delivery. An immutable snapshot shared by all shards;
// ingest/config.cc fills it.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/bounce/bounce_rules.h"
#include "engine/delivery/automation.h"
#include "engine/delivery/limits.h"
#include "engine/delivery/sources.h"
#include "engine/net/tls_context.h"
#include "engine/smtp/credentials.h"
#include "engine/smtp/timeouts.h"
#include "storage/types.h"

namespace engine {

/// The limits of a group of sites, found by the names of their MX hosts.
struct Provider {
    std::string name;
    std::vector<std::string> mx_suffix;  // ".google.com"; every host of the site must match one
    LimitLayer limits;
    TotalLimits total{};  // of all sources, to all its sites
};

/// Limits and a fixed route for one recipient domain, or for all that have no entry.
struct DomainSettings {
    std::string name;                // A-labels, lower case; "*": all others
    std::vector<std::string> route;  // "host:port" or "[ip]:port" in order of preference, with
                                     // "smtps://" in front for TLS from the first octet on; empty:
                                     // by DNS
    LimitLayer limits;
    std::shared_ptr<Credentials> credentials;  // to log in with on the hosts of the route; or null
};

/// What is set about those who submit.
struct TenantSettings {
    double weight = 1;    // its share of a site that several tenants want, beside theirs
    TotalLimits total{};  // of messages alone: connections carry what several tenants send
    std::optional<uint32_t> suppressed_bounces{};  // as in Settings, in its place
};

/// What follows when a content went out whole and its answer never came, or the engine died before
/// it had recorded it.
enum class WhenInDoubt : uint8_t {
    retry,  // again, and the next attempt's event says that it may be a duplicate
    hold,   // an operator decides
    assume_delivered
};
std::string_view to_string(WhenInDoubt policy);

struct Settings {
    std::string node_name;        // EHLO name, a FQDN
    uint16_t port = 25;           // where MX hosts listen
    bool dane = true;             // what the signed DNS says of a host's certificate counts
    bool mta_sts = true;          // so does what a domain's policy says
    uint16_t mta_sts_port = 443;  // of policy hosts
    std::vector<std::string> allow_addresses;
    Limits limits;                    // of a site that no provider or domain names
    std::vector<Provider> providers;  // the one with the longest suffix that fits counts
    std::vector<DomainSettings> domains;
    std::unordered_map<std::string, TenantSettings> tenants;  // those with an entry
    std::vector<SourceSettings> sources{SourceSettings{}};    // at least one
    std::vector<AutomationRule> automation;
    std::vector<Pool> pools{Pool{"default", {0}}};  // the first one is named "default"
    std::string tls_ca_file;  // authorities for all of it; empty: the system's
    TlsVersion tls_least = TlsVersion::tls12;
    SmtpTimeouts timeouts;
    std::vector<std::chrono::milliseconds> retry_schedule;  // the last repeats; 10% jitter
    std::chrono::milliseconds expires = std::chrono::hours(72);
    std::array<WhenInDoubt, 2> in_doubt{};  // by storage::Class
    WhenInDoubt when_in_doubt(storage::Class klass) const {
        return in_doubt.at(static_cast<size_t>(klass));
    }
    /// A shard that works more than this part of its time has its hottest site spread over all
    /// shards; 0: never.
    double spread_above = 0.8;
    uint64_t memory_bytes = 512ull << 20;    // budget for contents and windows, all shards together
    uint64_t queue_bytes_max = 50ull << 30;  // of data_dir; above it ingest is refused
    uint64_t free_disk_min = 1ull << 30;     // below it ingest is refused
    std::chrono::milliseconds report_delay_after =
        std::chrono::hours(4);                  // then a sender is told of the delay; 0: never
    uint64_t report_content_max = 64ull << 10;  // of a mail that is given back whole (RET=FULL)
    uint32_t suppressed_bounces = 0;            // bits by BounceClass, see suppresses()
    std::shared_ptr<const BounceRules> bounce_rules = BounceRules::built_in();
    std::chrono::milliseconds drain = std::chrono::seconds(30);  // bound of a stop

    double weight_of(const std::string& tenant) const {
        const auto found = tenants.find(tenant);
        return found == tenants.end() ? 1 : found->second.weight;
    }
    /// Whether a bounce of this class puts its recipient on the tenant's suppression list.
    bool suppresses(const std::string& tenant, BounceClass klass) const {
        const auto found = tenants.find(tenant);
        const bool own = found != tenants.end() && found->second.suppressed_bounces;
        const uint32_t classes = own ? *found->second.suppressed_bounces : suppressed_bounces;
        return (classes >> static_cast<unsigned>(klass) & 1U) != 0;
    }
    const Pool* find_pool(std::string_view name) const {
        const auto found = std::ranges::find(pools, name, &Pool::name);
        return found == pools.end() ? nullptr : &*found;
    }
    /// The default one for a job whose pool is gone from the configuration.
    const Pool& pool_of(std::string_view name) const {
        const Pool* found = find_pool(name);
        return found ? *found : pools.front();
    }
};

/// What all sites together may be sent, in every name that has such a limit.
std::map<TotalKey, TotalLimits> totals_of(const Settings& settings);

}  // namespace engine
