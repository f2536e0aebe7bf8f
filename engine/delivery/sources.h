// Where mail leaves from: sources, and the pools of them that jobs choose.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/delivery/limits.h"
#include "engine/delivery/total_limits.h"
#include "engine/delivery/warmup.h"
#include "engine/net/egress_proxy.h"
#include "engine/reactor/address.h"

namespace engine {

/// [[source]]
struct SourceSettings {
    std::string name;                      // empty: the one that is there when none is configured
    std::optional<SocketAddress> address;  // of this host, port 0; nullopt: the kernel's choice.
                                           // With one, only hosts of its family are reached
    std::string ehlo;                      // empty: the node's name
    double weight = 1;                     // its part of the connections of its pools
    std::optional<WarmupPlan> warmup{};    // while it is new
    LimitLayer limits{};                   // at most, at each site, whatever others allow
    TotalLimits total{};                   // to all sites
    std::optional<EgressProxy> proxy{};    // that its connections go through; `address` is then one
                                           // of the proxy
};

/// Place of a source in Settings::sources.
using SourceId = uint16_t;
inline constexpr SourceId no_source = UINT16_MAX;  // of one that a reload has taken away

/// [[pool]]
struct Pool {
    std::string name;
    std::vector<SourceId> sources;  // at least one
    TotalLimits total{};            // of all of them, for its mail, to all sites
};

}  // namespace engine
