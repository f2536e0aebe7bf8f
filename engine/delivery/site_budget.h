// SiteBudget: what the Sites of one set of hosts share. Mail of another TLS demand has a Site of
// its own, but the hosts count all of it: limits, rate and their complaints are one.
#pragma once

#include <cstddef>
#include <vector>

#include "engine/delivery/throttle.h"
#include "engine/reactor/timer_wheel.h"

namespace engine {

class Site;

class SiteBudget {
  public:
    SiteBudget() = default;
    SiteBudget(const SiteBudget&) = delete;
    SiteBudget& operator=(const SiteBudget&) = delete;

    size_t live = 0;                     // connections, from the dial to the close
    Instant next_send = Instant::min();  // by the rate
    Throttle throttle;                   // by what hosts say of our speed

    void join(Site& site) { sites_.push_back(&site); }
    void leave(Site& site) { std::erase(sites_, &site); }

    /// `site` has work for so many connections more, and the limit is reached: idle ones of others
    /// look whether they should give way.
    void ask(const Site& site, size_t connections);
    enum class Between : uint8_t { mails, nothing };  // what a connection is: busy, or idle
    /// Whether a connection of `site` should end now for another's sake: an idle one for whoever
    /// waits for room, a busy one for who has no connection at all. True is a promise to end.
    bool gives_way(const Site& site, Between between);
    /// A connection of `by` has ended: there may be room for others.
    void freed(const Site& by);

  private:
    std::vector<Site*> sites_;
    size_t promised_ = 0;  // connections that are about to end for others
};

}  // namespace engine
