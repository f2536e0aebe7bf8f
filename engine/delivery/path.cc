#include "engine/delivery/path.h"

#include <algorithm>
#include <utility>

namespace engine {

namespace {

constexpr auto late_max = std::chrono::milliseconds(10);  // of a timer, on a busy shard

Instant::duration gap_at(double rate_per_second) {
    return std::chrono::duration_cast<Instant::duration>(
        std::chrono::duration<double>(1 / rate_per_second));
}

}  // namespace

void Path::rest(std::string_view limit, Instant until, std::string reason, std::string origin) {
    if (until <= rest_until) return;
    rest_until = until;
    last_rest = std::make_unique<const Rest>(limit, std::move(reason), std::move(origin));
}

Instant Path::next_message(const Limits& limits) const {
    double rate = tempo.rate();
    if (limits.rate_per_second > 0) rate = std::min(rate, limits.rate_per_second);
    const Instant by_rate = rate == Tempo::unlimited ? Instant{} : last_message + gap_at(rate);
    return std::max(by_rate, tempo.hold_until());
}

/// The next moment counts from this one as it should have been: each timer is a little late, and 50
/// messages a second would be 46.
void Path::begin_message(const Limits& limits, Instant now) {
    const Instant moment = next_message(limits);
    last_message = now - moment < late_max ? moment : now;
    served += 1 / from->weight;
}

void Path::begun_elsewhere(const TotalLimits& limits, Instant next_message,
                           Instant next_connection) {
    if (const double rate = limits.rate_per_second; rate > 0)
        last_message = std::max(last_message, next_message - gap_at(rate));
    if (const double rate = limits.connection_rate_per_second; rate > 0)
        last_connection = std::max(last_connection, next_connection - gap_at(rate));
}

size_t Path::connections_max(const Limits& limits, Instant now) const {
    const size_t set = limits.connections == 0 ? SIZE_MAX : limits.connections;
    return std::min(set, tempo.connections(now));
}

Instant Path::next_connection(const Limits& limits) const {
    if (limits.connection_rate_per_second <= 0) return Instant{};
    return last_connection + gap_at(limits.connection_rate_per_second);
}

std::optional<Binding> Path::holds_messages(const Limits& limits, Instant now) const {
    if (rests(now))
        return Binding{last_rest->limit, rest_until, last_rest->origin, last_rest->reason};
    if (now < tempo.hold_until())
        return Binding{"reply", tempo.hold_until(), {}, "its hosts say that we are too fast"};
    // Between two messages of a rate that is used to the full there is no moment without a line.
    const Instant next = next_message(limits);
    if (next <= now && line.empty()) return std::nullopt;
    if (limits.rate_per_second > 0 && limits.rate_per_second <= tempo.rate())
        return Binding{"rate", next, limits.origin(LimitKey::rate), {}};
    if (tempo.rate() == Tempo::unlimited) return std::nullopt;
    return Binding{"learned_rate", next, {}, "what its hosts have been seen to take"};
}

std::optional<Binding> Path::holds_connections(const Limits& limits, Instant now) const {
    if (live >= connections_max(limits, now)) {
        if (limits.connections > 0 && live >= limits.connections)
            return Binding{"connections", Instant::max(), limits.origin(LimitKey::connections), {}};
        return Binding{"learned_connections",
                       Instant::max(),
                       {},
                       "as many as its hosts have been seen to take"};
    }
    if (const Instant next = next_connection(limits); now < next)
        return Binding{"connection_rate", next, limits.origin(LimitKey::connection_rate), {}};
    return std::nullopt;
}

}  // namespace engine
