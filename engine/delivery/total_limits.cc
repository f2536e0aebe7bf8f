#include "engine/delivery/total_limits.h"

#include <fmt/format.h>

#include <algorithm>

namespace engine {

namespace {

constexpr std::array<std::string_view, total_of_count> owners{"provider", "source", "pool",
                                                              "tenant",   "node",   "path"};
constexpr std::array<std::array<std::string_view, total_limit_count>, total_of_count> labels{
    {{"provider_connections", "provider_connection_rate", "provider_rate", "provider_hour",
      "provider_day"},
     {"source_connections", "source_connection_rate", "source_rate", "source_hour", "source_day"},
     {"pool_connections", "pool_connection_rate", "pool_rate", "pool_hour", "pool_day"},
     {"tenant_connections", "tenant_connection_rate", "tenant_rate", "tenant_hour", "tenant_day"},
     {"node_connections", "node_connection_rate", "node_rate", "node_hour", "node_day"},
     {"connections", "connection_rate", "rate", "hour", "day"}}};

constexpr std::array<std::string_view, total_limit_count> keys{
    "total_connections", "total_connection_rate", "total_rate", "total_per_hour", "total_per_day"};

/// In the smallest unit of time in which it is a whole number, as people write it.
std::string rate_words(double per_second) {
    struct Unit {
        std::string_view name;
        double seconds;
    };
    constexpr std::array<Unit, 4> units{{{"s", 1}, {"min", 60}, {"h", 3600}, {"d", 86400}}};
    for (const Unit& unit : units) {
        const double rate = per_second * unit.seconds;
        const auto whole = static_cast<double>(static_cast<uint64_t>(rate + 0.5));
        if (whole >= 1 && rate - whole < 1e-6 * whole && whole - rate < 1e-6 * whole)
            return fmt::format("{:.0f}/{}", whole, unit.name);
    }
    return fmt::format("{:.3g}/s", per_second);
}

}  // namespace

std::string_view to_string(TotalOf of) {
    return owners[static_cast<size_t>(of)];
}

std::string_view to_string(TotalLimit limit) {
    return keys[static_cast<size_t>(limit)];
}

bool TotalLimits::sets(TotalLimit limit) const {
    switch (limit) {
        case TotalLimit::connections:
            return connections > 0;
        case TotalLimit::connection_rate:
            return connection_rate_per_second > 0;
        case TotalLimit::rate:
            return rate_per_second > 0;
        case TotalLimit::per_hour:
            return per_hour > 0;
        case TotalLimit::per_day:
            return per_day > 0;
    }
    return false;
}

std::optional<TotalLimit> parse_total_limit(std::string_view key) {
    const auto found = std::ranges::find(keys, key);
    if (found == keys.end()) return std::nullopt;
    return static_cast<TotalLimit>(found - keys.begin());
}

std::string_view limit_label(TotalOf of, TotalLimit limit) {
    return labels[static_cast<size_t>(of)][static_cast<size_t>(limit)];
}

std::string words_of(const TotalKey& key, const TotalLimits& limits, TotalLimit limit) {
    if (key.of == TotalOf::path) return {};  // the setting's line says it
    const auto say = [&](const std::string& what) {
        if (key.of == TotalOf::node) return fmt::format("this node: {} in all", what);
        return fmt::format("{} {}: {} in all", to_string(key.of), key.name, what);
    };
    switch (limit) {
        case TotalLimit::connections:
            return say(fmt::format("{} connections", limits.connections));
        case TotalLimit::connection_rate:
            return say(fmt::format("{} connections opened",
                                   rate_words(limits.connection_rate_per_second)));
        case TotalLimit::rate:
            return say(fmt::format("{} messages", rate_words(limits.rate_per_second)));
        case TotalLimit::per_hour:
            return say(fmt::format("{} messages an hour", limits.per_hour));
        case TotalLimit::per_day:
            return say(fmt::format("{} messages a day", limits.per_day));
    }
    return {};
}

}  // namespace engine
