// Plan: everything that a seed decides beforehand: the settings, the hosts and domains, the jobs
// and when they come, and what goes wrong when.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/delivery/settings.h"
#include "engine/reactor/shards.h"
#include "tests/sim/book.h"
#include "tests/sim/dns.h"
#include "tests/sim/receiver.h"
#include "tests/sim/world.h"

namespace sim {

struct JobPlan {
    size_t number = 0;  // in the book
    std::string sender, campaign, pool;
    storage::Class klass = storage::Class::bulk;
    std::string message;  // raw
    bool templated = false;
    std::vector<std::string> domains;  // of its recipients
    std::vector<uint32_t> parts;       // recipients of each
    Nanoseconds at{};                  // since the beginning
};

struct Trouble {
    Fault kind{};
    Nanoseconds at{};
    uint64_t choice = 0;
};

struct Plan {
    engine::ShardId shards = 1;
    Snapshot settings;  // in force, or about to be
    engine::TotalLimits node{};
    struct Reload {
        Nanoseconds at{};
        Snapshot settings;
    };
    std::vector<Reload> reloads;
    std::vector<std::unique_ptr<Host>> hosts;
    std::vector<std::vector<Host*>> sites;  // where domains are; not the relay
    std::vector<std::string> site_names;
    std::map<std::string, Host*> by_ip;
    std::vector<std::string> domains;
    Zone zone;
    std::vector<JobPlan> jobs;
    std::vector<Trouble> troubles;
    Nanoseconds heal_at{};
    uint32_t ttl = 60;
    bool has_quotas = false;
    bool clock_is_set() const;
    /// Whether some of the settings demand it.
    bool demands_tls() const;
    /// What a mail takes at most, by the totals that there are.
    Nanoseconds pace() const;
};

/// `calm`: nothing goes wrong from the beginning. `moody`: receivers do as they like and many more
/// mails come at once, but nothing happens to the node. `restless`: hosts are good, there is work
/// all the time, and operators change settings and lists again and again; a node may be killed.
enum class Weather : uint8_t { rough, calm, moody, restless };
inline bool is_prompt(Weather weather) {
    return weather == Weather::calm || weather == Weather::restless;
}
Plan draw_plan(World& world, Book& book, Weather weather);

}  // namespace sim
