// What operators ask of queues and sites: plain values that a shard fills in and others add up.
// Every answer is bounded, whatever the shard holds.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "storage/types.h"

namespace engine {

/// Ages since acceptance, as postqueue's qshape counts them: below each bound, and beyond the last.
inline constexpr std::array<std::chrono::minutes, 9> age_bounds{
    std::chrono::minutes(5),   std::chrono::minutes(10),  std::chrono::minutes(20),
    std::chrono::minutes(40),  std::chrono::minutes(80),  std::chrono::minutes(160),
    std::chrono::minutes(320), std::chrono::minutes(640), std::chrono::minutes(1280)};
using Ages = std::array<uint64_t, age_bounds.size() + 1>;

/// The place of an age in Ages.
size_t age_place(std::chrono::milliseconds age);

/// Which queues are asked for: those that match all that is not empty.
struct QueueQuestion {
    static constexpr size_t domains_max = 50'000;  // of one shard in one answer
    static constexpr size_t on_disk_max = 64;      // queues of a domain whose rows may be counted
    std::string tenant, campaign, domain;
};

/// The queues of one recipient domain.
struct DomainQueues {
    uint64_t waiting = 0, lent = 0, queues = 0;  // waiting: in memory; lent: at a site
    Ages ages{};                                 // of those in memory
    std::optional<storage::WallTime> oldest;     // acceptance of the oldest in memory
    std::optional<storage::WallTime> next_due;
    std::vector<storage::QueueId> on_disk;  // queues with rows that are not in memory

    void add(const DomainQueues& other);
};

struct QueueOverview {
    std::map<std::string, DomainQueues> domains;
    bool whole = true;  // false: there were more domains than may be answered

    void add(QueueOverview&& other);
};

/// One site: what it does, what it may do, and what keeps it from doing more.
struct SiteView {
    std::string site, provider;
    uint64_t ready = 0, sending = 0;  // deliveries that wait for a connection, in transactions
    uint64_t busy = 0, idle = 0, opening = 0;  // connections
    uint64_t open = 0;                         // all of them, with those of other TLS demands
    uint32_t connections_max = 0, messages_per_connection = 0;  // 0: no limit
    double rate_per_second = 0;                                 // 0: no limit
    uint32_t shards = 1;                                        // that send to it (spread.h)
    std::string spread_ended;  // why only one does again, for a minute; empty: it was not on all
    /// What holds mail back now (engine/delivery/README.md has the names); empty: nothing does.
    std::string limit;
    std::string limit_origin;  // "sluice.toml:12"; empty: no setting of a file
    std::string limit_reason;  // for people, where there is more to say
    std::optional<std::chrono::milliseconds> limited_for;  // from now; absent: until there is room

    /// Where mail leaves from, and what its hosts have been seen to take of that source.
    struct PathView {
        std::string source;
        uint64_t open = 0;
        double learned_rate = 0;           // messages a second; 0: no limit is known
        uint64_t learned_connections = 0;  // likewise
    };
    std::vector<PathView> paths;

    uint64_t work() const { return ready + sending; }
    void add(const SiteView& other);             // of the same hosts
    void add_from_shard(const SiteView& other);  // likewise, by another shard
};

struct SiteQuestion {
    static constexpr size_t sites_max = 1'000;
    std::string site, provider;  // exactly; empty: all
    size_t limit = sites_max;
};

struct SiteOverview {
    std::vector<SiteView> sites;  // those with the most work first
    uint64_t count = 0;           // of all that match
    std::vector<SiteView>
        helped;  // that match and belong to another shard: parts of the views there

    void add(SiteOverview&& other);
    /// All shards are in it: those with the most work are left.
    void finish(size_t limit);
};

/// Sites added up by the name of their provider.
struct ProviderView {
    uint64_t sites = 0, ready = 0, sending = 0, busy = 0, idle = 0, opening = 0;
    uint64_t limited = 0;                    // sites that something holds back
    std::map<std::string, uint64_t> limits;  // sites by what holds them back
    uint32_t connections_max = 0;            // of a site; the last one seen
    double rate_per_second = 0;

    void add(const SiteView& site);
    void add_helped(const SiteView& site);  // by another shard than its own
    void add(const ProviderView& other);
};
using ProviderOverview = std::map<std::string, ProviderView>;

}  // namespace engine
