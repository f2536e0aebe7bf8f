// Totals: what all sites together may be sent in one name, beside the limits of each path.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace engine {

/// In whose name it is counted. `path`: a source's way to one site, while the site is spread over
/// all shards (spread.h); its limits are those of the path.
enum class TotalOf : uint8_t { provider, source, pool, tenant, node, path };
inline constexpr size_t total_of_count = static_cast<size_t>(TotalOf::path) + 1;
std::string_view to_string(TotalOf of);

struct TotalKey {
    TotalOf of{};
    std::string name;
    auto operator<=>(const TotalKey&) const = default;
};

enum class TotalLimit : uint8_t { connections, connection_rate, rate, per_hour, per_day };
inline constexpr size_t total_limit_count = static_cast<size_t>(TotalLimit::per_day) + 1;

/// Of one [[provider]], [[source]], [[pool]] or [[tenant]], on the whole node; 0: none.
struct TotalLimits {
    uint32_t connections = 0;               // at a time
    double connection_rate_per_second = 0;  // connections begun
    double rate_per_second = 0;             // messages begun, evenly spaced
    uint64_t per_hour = 0, per_day = 0;     // messages in an hour of the clock, a day; UTC
    std::array<std::string, total_limit_count> origins{};  // "sluice.toml:12"
    bool operator==(const TotalLimits&) const = default;

    bool any() const {
        return connections > 0 || connection_rate_per_second > 0 || limits_messages();
    }
    bool limits_messages() const { return rate_per_second > 0 || per_hour > 0 || per_day > 0; }
    bool sets(TotalLimit limit) const;
    const std::string& origin(TotalLimit limit) const {
        return origins[static_cast<size_t>(limit)];
    }
};

/// By its key in the configuration: "total_connections".
std::optional<TotalLimit> parse_total_limit(std::string_view key);
std::string_view to_string(TotalLimit limit);
/// A label of metrics and of `limit` in views: "provider_connections", "source_rate"; of a path
/// "connections", "rate".
std::string_view limit_label(TotalOf of, TotalLimit limit);
/// For people: "provider google: 20 connections in all".
std::string words_of(const TotalKey& key, const TotalLimits& limits, TotalLimit limit);

}  // namespace engine
