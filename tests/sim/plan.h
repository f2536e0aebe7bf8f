// Plan: everything that a seed decides beforehand: the settings, the hosts and domains, the jobs and
// when they come, and what goes wrong when.
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
    std::string sender, campaign;
    storage::Class klass = storage::Class::bulk;
    std::string message;  // raw
    bool templated = false;
    std::vector<std::string> domains;  // of its recipients
    std::vector<uint32_t> parts;       // recipients of each
    Nanoseconds at{};                  // since the beginning
};

struct Trouble {
    enum class Kind : uint8_t {
        drain,          // an orderly restart
        kill,           // the process dies between two steps
        kill_at_work,   // it dies when the disk has done its work, before anybody hears of it
        power_cut,      // so does the machine: what is not synced may be gone
        power_at_sync,  // the same in the middle of a commit
        disk_error,     // a write or a sync of the log fails; restarted later
        disk_full,      // for a while
        host_down,      // for a while
        dns_down,       // for a while
        new_route       // a domain moves to other hosts
    };
    Kind kind{};
    Nanoseconds at{};
    uint64_t choice = 0;
};

struct Plan {
    engine::ShardId shards = 1;
    std::shared_ptr<engine::Settings> settings;
    std::map<std::string, size_t> limits;  // connections, by group of hosts
    std::vector<std::unique_ptr<Host>> hosts;
    std::vector<std::vector<Host*>> sites;
    std::map<std::string, Host*> by_ip;
    std::vector<std::string> domains;
    Zone zone;
    std::vector<JobPlan> jobs;
    std::vector<Trouble> troubles;
    Nanoseconds heal_at{};
    uint32_t ttl = 60;
};

/// `calm`: nothing goes wrong from the beginning.
enum class Weather : uint8_t { rough, calm };
Plan draw_plan(World& world, Book& book, Weather weather);

}  // namespace sim
