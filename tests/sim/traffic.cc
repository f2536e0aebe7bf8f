#include "tests/sim/traffic.h"

#include <algorithm>

namespace sim {

using engine::Settings;
using engine::TotalLimits;
using engine::TotalOf;

namespace {
// What a connection had taken by then goes on.
constexpr auto under_way = 1s;
// What is in hand when a limit is lowered has ended then, where everybody answers.
constexpr Nanoseconds in_hand_max = 30s;
// A moment that was given out for one hour may be used so long into the next one.
constexpr auto late_in_hour = 2s;

uint32_t connections_in_all(const TotalLimits& total) {
    return total.connections;
}
}  // namespace

int64_t Traffic::hour_of(Instant at) const {
    return std::chrono::floor<std::chrono::hours>(world_.engine_wall(at))
        .time_since_epoch()
        .count();
}

TotalLimits Traffic::total_of(const Settings& settings, const TotalKey& key) const {
    const auto in = [&](const auto& all, auto name) {
        const auto found = std::ranges::find(all, key.name, name);
        return found == all.end() ? TotalLimits{} : found->total;
    };
    switch (key.of) {
        case TotalOf::provider:
            return in(settings.providers, &engine::Provider::name);
        case TotalOf::source:
            return in(settings.sources, &engine::SourceSettings::name);
        case TotalOf::pool:
            return in(settings.pools, &engine::Pool::name);
        case TotalOf::tenant: {
            const auto found = settings.tenants.find(key.name);
            return found == settings.tenants.end() ? TotalLimits{} : found->second.total;
        }
        case TotalOf::node:
            return node_;
    }
    return {};
}

template <class Has>
std::set<engine::TotalKey> Traffic::keys(const Settings& settings, const Way& way, Has has) const {
    std::set<TotalKey> all{{TotalOf::provider, provider_name_of(settings, way.first)},
                           {TotalOf::source, way.second},
                           {TotalOf::node, {}}};
    // The pool of a connection shows where its source is in no other.
    std::vector<std::string> pools;
    for (const engine::Pool& pool : settings.pools)
        for (const engine::SourceId source : pool.sources)
            if (settings.sources.at(source).name == way.second) pools.push_back(pool.name);
    if (pools.size() == 1) all.insert({TotalOf::pool, pools.front()});
    std::erase_if(all, [&](const TotalKey& key) { return !has(total_of(settings, key)); });
    return all;
}

/// Whatever of the settings counted.
template <class Keys>
std::set<engine::TotalKey> Traffic::certain(Instant from, Instant to, Keys keys) const {
    std::optional<std::set<TotalKey>> all;
    for (const Settings* settings : settings_.possible(from, to)) {
        std::set<TotalKey> of = keys(*settings);
        if (!all)
            all = std::move(of);
        else
            std::erase_if(*all, [&](const TotalKey& key) { return !of.contains(key); });
    }
    return std::move(*all);
}

size_t Traffic::open_of(const TotalKey& key) const {
    return static_cast<size_t>(std::ranges::count_if(
        open_, [&](const auto& entry) { return entry.second.of.contains(key); }));
}

size_t Traffic::open_on(const Way& way) const {
    return static_cast<size_t>(
        std::ranges::count_if(open_, [&](const auto& entry) { return entry.second.way == way; }));
}

void Traffic::opened(int socket, const std::string& group, const std::string& source) {
    const Instant now = world_.now(), from = now - settings_.lag(now);
    const Way way{group, source};
    const auto of = certain(from, now, [&](const Settings& settings) {
        return keys(settings, way, connections_in_all);
    });
    open_[socket] = {way, of};
    const uint32_t most = settings_.most(from, now, [&](const Settings& settings) {
        return limits_of(settings, group).connections;
    });
    if (const size_t open = open_on(way); most > 0 && open > most)
        world_.fail("a limit of connections",
                    fmt::format("{} from '{}' has {} of {}", group, source, open, most));
    for (const TotalKey& key : of) {
        const uint32_t in_all = settings_.most(from, now, [&](const Settings& settings) {
            return total_of(settings, key).connections;
        });
        if (const size_t open = open_of(key); in_all > 0 && open > in_all)
            world_.fail(
                "a total of connections",
                fmt::format("{} '{}' has {} of {}", to_string(key.of), key.name, open, in_all));
    }
}

void Traffic::closed(int socket) {
    open_.erase(socket);
}

/// Connections above a limit that was lowered begin nothing more, so long after.
void Traffic::check_end_of_surplus(const Mail& mail) {
    if (!settings_.changed()) return;
    const Instant from = mail.begun - settings_.lag(mail.begun) - in_hand_max;
    const Way way{mail.group, mail.source};
    const uint32_t most = settings_.most(from, world_.now(), [&](const Settings& settings) {
        return limits_of(settings, mail.group).connections;
    });
    if (const size_t open = open_on(way); most > 0 && open > most)
        world_.fail("connections above a lowered limit end",
                    fmt::format("{} from '{}' has {} of {}", mail.group, mail.source, open, most));
    const auto of = certain(from, world_.now(), [&](const Settings& settings) {
        return keys(settings, way, connections_in_all);
    });
    for (const TotalKey& key : of) {
        const uint32_t in_all = settings_.most(from, world_.now(), [&](const Settings& settings) {
            return total_of(settings, key).connections;
        });
        if (const size_t open = open_of(key); open > in_all)
            world_.fail(
                "connections above a lowered total end",
                fmt::format("{} '{}' has {} of {}", to_string(key.of), key.name, open, in_all));
    }
}

/// Of its pool, by settings that may have counted when it was begun.
void Traffic::check_source(const Mail& mail) {
    const auto is_other = [&](const Settings& settings) {
        return std::ranges::none_of(settings.pool_of(mail.pool).sources,
                                    [&](const engine::SourceId source) {
                                        return settings.sources.at(source).name == mail.source;
                                    });
    };
    if (settings_.all(mail.begun - under_way, world_.now(), is_other))
        world_.fail("mail leaves by a source of its pool",
                    fmt::format("{} went from '{}'", mail.pool, mail.source));
}

void Traffic::mail(const Mail& mail) {
    const Way way{mail.group, mail.source};
    const Nanoseconds lag = settings_.lag(mail.begun);
    const Instant from = mail.begun - lag;
    Pace& pace = paces_[{way, mail.boot}];
    pace.mails.push_back(mail.sent);
    if (mail.of_connection == 1) pace.connections.push_back(mail.sent);
    const uint32_t most =
        settings_.most(mail.opened - lag, mail.opened + lag, [&](const Settings& settings) {
            return limits_of(settings, mail.group).messages_per_connection;
        });
    if (most > 0 && mail.of_connection > most)
        world_.fail("a limit of mails on a connection",
                    fmt::format("{} got {} of {}", mail.group, mail.of_connection, most));
    check_end_of_surplus(mail);
    check_source(mail);
    const auto of = certain(from, mail.sent, [&](const Settings& settings) {
        std::set<TotalKey> all{{TotalOf::provider, provider_name_of(settings, mail.group)},
                               {TotalOf::source, mail.source},
                               {TotalOf::pool, settings.pool_of(mail.pool).name},
                               {TotalOf::tenant, mail.tenant}};
        std::erase_if(
            all, [&](const TotalKey& key) { return !total_of(settings, key).limits_messages(); });
        return all;
    });
    for (const TotalKey& key : of) {
        seen_[key].insert(way);
        totals_[{key, mail.boot}].mails.push_back(mail.sent);
        count_for_quotas(key, mail);
    }
    if (mail.of_connection != 1) return;
    for (const TotalKey& key : certain(from, mail.sent, [&](const Settings& settings) {
             return keys(settings, way, [](const TotalLimits& total) {
                 return total.connection_rate_per_second > 0;
             });
         })) {
        seen_[key].insert(way);
        totals_[{key, mail.boot}].connections.push_back(mail.sent);
    }
}

/// They do not change in a run, and hold over its restarts.
void Traffic::count_for_quotas(const TotalKey& key, const Mail& mail) {
    const TotalLimits total = total_of(settings_.latest(), key);
    const int64_t hour = hour_of(mail.sent);
    const auto count = [&](auto& counts, int64_t span, int64_t length, uint64_t quota,
                           const char* what) {
        if (quota == 0) return;
        const bool first = span == first_hour_ / length;
        const auto into =
            world_.engine_wall(mail.sent) - WallTime(std::chrono::hours(span * length));
        if (!first && into < late_in_hour) return;  // it may be of the one before
        const uint64_t sum = ++counts[{key, span}];
        // What had its moment in the one before and could not begin may do so now.
        const uint64_t kept = first ? 0 : at_once(key);
        if (sum > quota + kept)
            world_.fail("a quota", fmt::format("{} '{}' sent {} of {} in one {}", to_string(key.of),
                                               key.name, sum, quota, what));
    };
    count(in_hour_, hour, 1, total.per_hour, "hour");
    count(in_day_, hour / 24, 24, total.per_day, "day");
}

void Traffic::recipient(const std::string& group, size_t of_transaction) {
    const Instant now = world_.now();
    const uint32_t most =
        settings_.most(now - settings_.lag(now) - in_hand_max, now, [&](const Settings& settings) {
            return limits_of(settings, group).recipients_per_transaction;
        });
    if (most > 0 && of_transaction > most)
        world_.fail("a limit of recipients of a mail",
                    fmt::format("{} got {} of {}", group, of_transaction, most));
}

/// How many may come at once: what a connection may begin now it may write a little later. And each
/// way of a site keeps what one total has given it until the others do, each site what it has
/// admitted of a tenant's mail.
size_t Traffic::at_once(const TotalKey& key) const {
    const Instant now = world_.now();
    size_t connections = 0, pools = 1;
    for (const Settings* settings : settings_.possible(Instant{}, now))
        pools = std::max(pools, settings->pools.size());
    const std::set<Way>& ways = seen_.at(key);
    for (const Way& way : ways)
        connections += settings_.most(Instant{}, now, [&](const Settings& settings) {
            return limits_of(settings, way.first).connections;
        });
    const uint32_t in_all = settings_.most(Instant{}, now, [&](const Settings& settings) {
        return total_of(settings, key).connections;
    });
    if (in_all > 0) connections = std::min<size_t>(connections, in_all);
    const size_t sum = connections + ways.size() * pools + 1;
    return key.of == TotalOf::tenant ? 2 * sum : sum;
}

void Traffic::check_rates() {
    const auto rate_of = [&](auto limit_of) {
        return [&, limit_of](Instant at) {
            return settings_.most(at - settings_.lag(at), at, limit_of);
        };
    };
    for (const auto& [way, pace] : paces_) {
        const std::string& group = way.first.first;
        const auto most = settings_.most(Instant{}, world_.now(), [&](const Settings& settings) {
            return limits_of(settings, group).connections;
        });
        // What a connection may begin now it may write a little later: so each adds one to those
        // that come at once.
        const size_t at_once = most + 1;
        check(pace.mails, {"a limit of mails a second", group, at_once},
              rate_of([&](const Settings& settings) {
                  return limits_of(settings, group).rate_per_second;
              }));
        check(pace.connections, {"a limit of connections a second", group, at_once},
              rate_of([&](const Settings& settings) {
                  return limits_of(settings, group).connection_rate_per_second;
              }));
    }
    for (const auto& [of, pace] : totals_) {
        const TotalKey& key = of.first;
        const std::string name = fmt::format("{} '{}'", to_string(key.of), key.name);
        check(pace.mails, {"a total of mails a second", name, at_once(key)},
              rate_of([&](const Settings& settings) {
                  return total_of(settings, key).rate_per_second;
              }));
        check(pace.connections, {"a total of connections a second", name, at_once(key)},
              rate_of([&](const Settings& settings) {
                  return total_of(settings, key).connection_rate_per_second;
              }));
    }
}

/// A bucket that leaks at the rate and never holds more than may come at once. In a second 2% more
/// may come, because a moment may be used 20 ms late.
template <class RateAt>
void Traffic::check(std::vector<Instant> times, const Bucket& bucket, RateAt rate_at) {
    std::ranges::sort(times);
    double held = 0, rate_before = 0;
    Instant last{};
    for (const Instant time : times) {
        const double rate = rate_at(time);
        if (rate <= 0) {
            held = rate_before = 0;
            last = time;
            continue;
        }
        const double passed = std::chrono::duration<double>(time - last).count();
        held = std::max(0.0, held - passed * std::max(rate, rate_before)) + 1;
        rate_before = rate;
        last = time;
        if (held <= static_cast<double>(bucket.at_once) + 0.02 * rate + 0.01) continue;
        return world_.fail(bucket.invariant,
                           fmt::format("{} got {:.0f} at once, at {}/s", bucket.of, held, rate));
    }
}

}  // namespace sim
