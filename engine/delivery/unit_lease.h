// A number that all shards share, such as the connections to one provider. One shard keeps it
// (UnitKeeper) and lends units of it to the others (UnitShare), by messages. A unit is with the
// keeper, on its way, or with one shard, so together they never use more than there are. Pure: it
// knows no messages and no clock; shares.h carries what is told.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "engine/reactor/timer_wheel.h"

namespace engine {

/// A shard to the keeper.
struct UnitNeed {
    uint32_t need = 0;      // units in use, and those that it would use at once
    uint32_t returned = 0;  // that come back with this
    uint32_t found = 0;     // in use from before there was this limit: it has them from now on
};

/// The keeper to a shard.
struct UnitAward {
    uint32_t granted = 0;
    uint32_t target = UINT32_MAX;  // what it may keep: more of them go back as they get free
    bool scarce = false;           // others want what it does not use
};

class UnitKeeper {
  public:
    /// When there are fewer units than shards that need one, they take turns.
    static constexpr std::chrono::seconds turn_length{2};

    UnitKeeper(uint32_t limit, size_t shards) : limit_(limit), shards_(shards) {}

    void use(uint32_t limit) { limit_ = limit; }
    void told(size_t shard, UnitNeed need);
    /// The shard has so many already, from before they were counted here.
    void adopt(size_t shard, uint32_t units);
    /// What there is to say to shards now.
    std::vector<std::pair<size_t, UnitAward>> awards(Instant now);
    uint32_t lent() const;
    uint32_t lent_beside(size_t shard) const { return lent() - shards_.at(shard).held; }

  private:
    struct Shard {
        uint32_t need = 0, held = 0;  // held: with what is on its way in either direction
        UnitAward last{};
    };
    std::vector<uint32_t> parts(Instant now);

    uint32_t limit_;
    std::vector<Shard> shards_;
    size_t turn_ = 0;  // the shard that is first to get what does not divide evenly
    Instant turn_until_{};
};

class UnitShare {
  public:
    bool free() const { return used_ < std::min(held_, target_); }
    void take();
    void release();
    void award(const UnitAward& award);
    /// They are in use already, from before they were counted here, as the keeper knows.
    void adopt(uint32_t units);
    /// Likewise, and the keeper is told.
    void find(uint32_t units);
    uint32_t used() const { return used_; }
    uint32_t held() const { return held_; }
    /// In use beyond what the keeper lets us keep: so many should end.
    uint32_t surplus() const { return used_ > target_ ? used_ - target_ : 0; }
    bool scarce() const { return scarce_; }

    /// What to tell the keeper, if anything; `waiting`: units that would be used at once.
    std::optional<UnitNeed> tell(uint32_t waiting);
    /// Once a second: what was not needed since the last time goes back.
    std::optional<UnitNeed> tell_all(uint32_t waiting);

  private:
    std::optional<UnitNeed> say(uint32_t need, uint32_t given);

    uint32_t held_ = 0, used_ = 0, target_ = UINT32_MAX, told_ = 0;
    uint32_t found_ = 0;  // that the keeper is to be told of
    uint32_t peak_ = 0;   // of the need, since the last second began
    bool scarce_ = false;
};

}  // namespace engine
