// Traffic: how much of it receivers see on each way to them, and in whose name, and the limits that
// it must not exceed. A way is a group of hosts and the source that comes to it; a total is about
// all ways of one provider, source, pool or tenant, or of the node.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "engine/delivery/total_limits.h"
#include "tests/sim/settings_book.h"
#include "tests/sim/world.h"

namespace sim {

class Traffic {
  public:
    using TotalKey = engine::TotalKey;

    Traffic(World& world, const SettingsBook& settings) : world_(world), settings_(settings) {}

    /// What descriptors allow the node; 0: any number.
    void node_allows(uint32_t connections) { node_.connections = connections; }
    /// Quotas are counted from the hour that runs now.
    void begins() { first_hour_ = hour_of(world_.now()); }

    /// A new connection: its socket is opened, or closed.
    void opened(int socket, const std::string& group, const std::string& source);
    void closed(int socket);
    struct Mail {
        std::string group, source, tenant, pool;
        uint32_t boot = 0;           // of the node: a new one knows nothing of the old one's pace
        uint32_t of_connection = 1;  // the first one is 1
        Instant opened{}, begun{}, sent{};
    };
    void mail(const Mail& mail);
    void recipient(const std::string& group, size_t of_transaction);

    /// Of all mails so far: those that were sent first may be the last to arrive.
    void check_rates();

  private:
    using Way = std::pair<std::string, std::string>;
    struct Connection {
        Way way;
        std::set<TotalKey> of;  // whose units it has
    };
    struct Pace {
        std::vector<Instant> mails, connections;
    };
    struct Bucket {
        const char* invariant;
        std::string of;
        size_t at_once;
    };
    int64_t hour_of(Instant at) const;
    engine::TotalLimits total_of(const engine::Settings& settings, const TotalKey& key) const;
    /// Of a connection, without what it may carry; `has`: of the limits that are looked for.
    template <class Has>
    std::set<TotalKey> keys(const engine::Settings& settings, const Way& way, Has has) const;
    template <class Keys>
    std::set<TotalKey> certain(Instant from, Instant to, Keys keys) const;
    size_t open_of(const TotalKey& key) const;
    size_t open_on(const Way& way) const;
    size_t at_once(const TotalKey& key) const;
    void check_end_of_surplus(const Mail& mail);
    void check_source(const Mail& mail);
    void count_for_quotas(const TotalKey& key, const Mail& mail);
    template <class RateAt>
    void check(std::vector<Instant> times, const Bucket& bucket, RateAt rate_at);

    World& world_;
    const SettingsBook& settings_;
    engine::TotalLimits node_{};
    int64_t first_hour_ = 0;
    std::map<int, Connection> open_;  // by socket
    std::map<std::pair<Way, uint32_t>, Pace> paces_;
    std::map<std::pair<TotalKey, uint32_t>, Pace> totals_;
    std::map<TotalKey, std::set<Way>> seen_;  // that its mails took
    std::map<std::pair<TotalKey, int64_t>, uint64_t> in_hour_, in_day_;
};

}  // namespace sim
