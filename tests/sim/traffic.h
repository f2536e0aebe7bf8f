// Traffic: how much of it receivers see on each way to them, and the limits that it must not
// exceed. A way is a group of hosts and the source that comes to it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/delivery/limits.h"
#include "tests/sim/world.h"

namespace sim {

class Traffic {
  public:
    explicit Traffic(World& world) : world_(world) {}

    void limit(const std::string& group, const engine::Limits& limits) { limits_[group] = limits; }

    /// A new connection, and how many there are with it.
    void connected(const std::string& group, const std::string& source, size_t open);
    struct Mail {
        std::string group, source;
        uint32_t boot = 0;           // of the node: a new one knows nothing of the old one's pace
        uint32_t of_connection = 1;  // the first one is 1
        Instant sent{};
    };
    void mail(const Mail& mail);
    void recipient(const std::string& group, size_t of_transaction);

    /// Of all mails so far: those that were sent first may be the last to arrive.
    void check_rates();

  private:
    struct Pace {
        std::vector<Instant> mails, connections;
    };
    void check(std::vector<Instant> times, double rate, size_t at_once, const char* invariant,
               const std::string& group);

    World& world_;
    std::map<std::string, engine::Limits> limits_;  // by group
    std::map<std::tuple<std::string, std::string, uint32_t>, Pace> paces_;
};

}  // namespace sim
