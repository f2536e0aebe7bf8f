#include <array>

#include "ingest/setting_tables.h"

namespace ingest::tables {

namespace {
constexpr uint64_t connections_max = 100'000, quota_max = 1'000'000'000'000;

const std::array table = {
    Setting{
        "",
        "total_connections",
        Type::integer,
        "",
        Reload::live,
        {.least = 1, .most = connections_max},
        "Connections at a time in all, whatever the limits of each site allow; without it there "
        "is no such limit.",
        [](T to, V v) { to.total->connections = static_cast<uint32_t>(v.number); }},
    Setting{"",
            "total_connection_rate",
            Type::rate,
            "",
            Reload::live,
            {},
            "Connections begun in all, such as \"10/s\" or \"300/min\".",
            [](T to, V v) { to.total->connection_rate_per_second = v.rate; }},
    Setting{"",
            "total_rate",
            Type::rate,
            "",
            Reload::live,
            {},
            "Messages in all, evenly spaced, such as \"100/s\" or \"5000/h\".",
            [](T to, V v) { to.total->rate_per_second = v.rate; }},
    Setting{"",
            "total_per_hour",
            Type::integer,
            "",
            Reload::live,
            {.least = 1, .most = quota_max},
            "Messages in all within an hour of the clock, as fast as else allowed; holds over "
            "restarts.",
            [](T to, V v) { to.total->per_hour = v.number; }},
    Setting{"",
            "total_per_day",
            Type::integer,
            "",
            Reload::live,
            {.least = 1, .most = quota_max},
            "Messages in all within a day (UTC), likewise.",
            [](T to, V v) { to.total->per_day = v.number; }},
};
}  // namespace

std::span<const Setting> totals() {
    return table;
}

}  // namespace ingest::tables
