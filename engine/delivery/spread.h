// A site that one core cannot serve is spread over all shards. The shard that owns it decides; each
// other one makes Sites of its own for the same hosts, whose paths have a share of the owner's
// limits (shares.h), and homes deal out what they lend. What a path learns of its receiver is
// learned by the owner alone: the others tell it what they hear (PathWord), and the first
// complaint ends the spread. delivery_shard_spread.cc puts it together.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/delivery/total_limits.h"
#include "engine/reactor/shards.h"
#include "engine/reactor/timer_wheel.h"
#include "engine/smtp/outcome.h"

namespace engine {

/// What is heard on a source's way to a site.
struct PathWord {
    enum class Of : uint8_t {
        nothing,      // only the counts
        complaint,    // about our speed, or the number of connections
        connections,  // a connection was refused for their number
        opening,      // no host took one
        rule          // a reply that a rule of [[automation]] counts
    };
    Of of = Of::nothing;
    std::string source;
    Instant began{};    // the message that met the complaint
    Verdict verdict{};  // of what was heard
    std::string mx;
    uint32_t taken = 0;  // messages since the last word
    size_t open = 0;     // connections that stand on that shard
};

/// What is seen of a site in a second, on the shard that owns it.
struct SiteLoad {
    double busy = 0;        // part of the second that this shard has worked
    double least_busy = 1;  // the same of the shard that has most room
    ShardId shards = 1;
    double part = 0;    // of the messages that began on this shard: the site's
    bool held = false;  // by something that more cores do not help with
};

/// Whether a site is to be on all shards: not by one second's look, and not to and fro.
class SpreadRule {
  public:
    static constexpr unsigned hot_looks = 2, cold_looks = 10;  // in a row
    static constexpr double part_least = 0.25;  // of its shard's messages, or it is not the reason
    static constexpr double room_part = 0.75;   // so much less than it another shard has to do

    /// `above`: a shard that works so much of its time is busy.
    bool look(const SiteLoad& load, double above);
    bool spread() const { return spread_; }

  private:
    bool is_hot(const SiteLoad& load, double above) const;
    bool is_cold(const SiteLoad& load, double above) const;

    bool spread_ = false;
    unsigned looks_ = 0;
};

/// The limits of a site's paths, by source, as all shards share them.
using PathLimits = std::vector<std::pair<std::string, TotalLimits>>;

/// A site that is spread, or that comes back, at its owner.
struct Spread {
    enum class State : uint8_t {
        on,
        ending,  // other shards may still have connections of it
        resting  // it is as it was, and stays so for a while
    };
    static constexpr std::chrono::seconds rest{60};  // after a complaint, or a change of settings

    SpreadRule rule;
    std::shared_ptr<const PathLimits> limits;
    State state = State::on;
    ShardId away = 0;  // shards that have not said yet that they are done with it
    Instant rest_until{};
    std::string_view ended_by{};                             // for people
    std::map<std::pair<std::string, ShardId>, size_t> open;  // by source and shard, as told
};

/// At a home: which shard the next loan goes to, so that each has what it can send.
class Deal {
  public:
    /// Loans that stay together: what follows is mostly for the same job, and may share a mail.
    static constexpr unsigned run = 8;

    explicit Deal(ShardId shards) : shards_(shards) {}
    /// Of an account's loans: the shard that has least of them. It has one more.
    ShardId next(uint64_t link);
    /// One has come home from there.
    void back(uint64_t link, ShardId shard);
    bool empty() const { return out_.empty(); }

  private:
    struct Out {
        std::vector<uint32_t> by_shard;
        uint32_t sum = 0;
        ShardId last = 0;
        unsigned left = 0;  // of the run at `last`
    };
    ShardId shards_;
    std::unordered_map<uint64_t, Out> out_;
};

}  // namespace engine
