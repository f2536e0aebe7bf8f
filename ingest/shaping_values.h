// The values of KumoMTA's traffic shaping, as its files write them.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ingest {

/// "100/min", "10,000/h", "local:5/s": so many in a period.
struct ShapingRate {
    uint64_t count = 0;
    std::chrono::seconds period{1};
    bool per_node = false;  // "local:"
};
std::optional<ShapingRate> parse_shaping_rate(std::string_view text);

/// "25", "10,000", "local:25".
std::optional<uint64_t> parse_shaping_count(std::string_view text);

/// "90m", "2 hours", "1h 30min": numbers and their units, added up.
std::optional<std::chrono::milliseconds> parse_shaping_duration(std::string_view text);

/// As our configuration writes it; rates by the day become ones by the hour.
std::string rate_text(const ShapingRate& rate);

}  // namespace ingest
