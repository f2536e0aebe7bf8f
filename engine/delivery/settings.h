// What an operator may set about delivery. An immutable snapshot shared by all shards;
// ingest/config.cc fills it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/bounce/bounce_rules.h"
#include "engine/smtp/timeouts.h"

namespace engine {

/// Limits of a site; 0 means: none.
struct Limits {
    uint32_t connections = 20;
    uint32_t messages_per_connection = 100;
    double rate_per_second = 0;  // messages to the site
    bool operator==(const Limits&) const = default;
};

/// The limits of a group of sites, found by the names of their MX hosts.
struct Provider {
    std::string name;
    std::vector<std::string> mx_suffix;  // ".google.com"; every host of the site must match one
    Limits limits;
};

/// Limits and a fixed route for one recipient domain.
struct DomainSettings {
    std::string name;  // A-labels, lower case
    std::vector<std::string>
        route;  // "host:port" or "[ip]:port" in order of preference; empty: by DNS
    Limits limits;
};

struct Settings {
    std::string node_name;  // EHLO name, a FQDN
    uint16_t port = 25;     // where MX hosts listen
    std::vector<std::string> allow_addresses;
    Limits limits;  // of a site that no provider or domain names
    std::vector<Provider> providers;
    std::vector<DomainSettings> domains;
    SmtpTimeouts timeouts;
    std::chrono::milliseconds idle =
        std::chrono::seconds(30);  // a connection without work is closed after this
    std::vector<std::chrono::milliseconds> retry_schedule;  // the last repeats; 10% jitter
    std::chrono::milliseconds expires = std::chrono::hours(72);
    uint64_t memory_bytes = 512ull << 20;    // budget for contents and windows, all shards together
    uint64_t queue_bytes_max = 50ull << 30;  // of data_dir; above it ingest is refused
    uint64_t free_disk_min = 1ull << 30;     // below it ingest is refused
    std::shared_ptr<const BounceRules> bounce_rules = BounceRules::built_in();
    std::chrono::milliseconds drain = std::chrono::seconds(30);  // bound of a stop
};

}  // namespace engine
