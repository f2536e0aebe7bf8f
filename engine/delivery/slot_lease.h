// A rate that all shards share. One shard keeps it (SlotKeeper): it hands out the moments at which
// something may begin, evenly spaced, a few at a time; a shard uses each of them once, not before
// its time and not long after (SlotShare). So however many shards there are, no more has begun at
// any time than the rate allows since the work began. Quotas of an hour and a day are part of it.
// Pure: it knows no messages and no clock; shares.h carries what is told.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "engine/delivery/total_limits.h"
#include "engine/reactor/timer_wheel.h"
#include "storage/types.h"

namespace engine {

/// A shard to the keeper.
struct SlotAsk {
    uint32_t wanted = 0;
    uint32_t unused = 0;  // of those it was given in `hour`: they count for no quota
    int64_t hour = 0;
};

/// The keeper to a shard: one moment each `gap` from `first` on.
struct SlotGrant {
    Instant first{};
    Instant::duration gap{};
    uint32_t count = 0;
    int64_t hour = 0;                  // since 1970, in which they count
    Instant again{};                   // none, a quota is used up: not to be asked before
    std::optional<TotalLimit> full{};  // which quota
};

/// What was sent in the hour and on the day that run.
struct QuotaCounts {
    int64_t hour = 0, day = 0;  // since 1970
    uint64_t in_hour = 0, in_day = 0;
    bool operator==(const QuotaCounts&) const = default;
};
std::string to_string(const QuotaCounts& counts);
QuotaCounts parse_quota_counts(std::string_view text);

class SlotKeeper {
  public:
    static constexpr std::chrono::milliseconds ahead{50};  // so much time is given out at once
    static constexpr uint32_t at_once_max = 1000;

    /// `rate`: 0, only the quotas count.
    struct Rules {
        double rate_per_second = 0;
        uint64_t per_hour = 0, per_day = 0;
        bool has_quota() const { return per_hour > 0 || per_day > 0; }
    };
    explicit SlotKeeper(Rules rules) : rules_(rules) {}

    void use(Rules rules) { rules_ = rules; }
    const Rules& rules() const { return rules_; }
    SlotGrant grant(SlotAsk ask, Instant now, storage::WallTime wall);
    /// The next one is no earlier: something has begun before that was not counted here.
    void not_before(Instant first) { next_ = std::max(next_, first); }
    Instant next() const { return next_; }  // that would be given out

    // Quotas hold over a crash, too: what is given out is on disk before, a block at a time.
    void load(const QuotaCounts& kept) { counts_ = bound_ = kept; }
    /// What is to be written now, if anything: counts that are not reached before the next time.
    std::optional<QuotaCounts> to_keep(storage::WallTime wall) const;
    void kept(const QuotaCounts& counts) { bound_ = counts; }
    const QuotaCounts& counts() const { return counts_; }

  private:
    void turn_to(storage::WallTime wall);
    void take_back(const SlotAsk& ask);
    uint64_t block() const;
    uint64_t allowed_by_disk() const;
    uint64_t left() const;

    Rules rules_;
    Instant next_{};
    QuotaCounts counts_, bound_;  // bound: as on disk
};

class SlotShare {
  public:
    /// How long after its time a slot may be used: as long as the next one is not there, and 20 ms
    /// for what is late because the shard is busy.
    static constexpr std::chrono::milliseconds late_max{20};
    static constexpr std::chrono::seconds kept_without_rate{1};

    /// Whether one may begin now, and it does.
    bool take(Instant now);
    /// It did not begin after all.
    void give_back(Instant now);
    /// The time of the next one, or when to ask again; max: that will be told.
    Instant next(Instant now);
    void granted(const SlotGrant& grant, Instant now);

    /// What to ask the keeper for, if anything, when `wanted` more could begin soon.
    std::optional<SlotAsk> ask(uint32_t wanted, Instant now);
    bool would_ask(uint32_t wanted, Instant now) const;
    /// Once a second: what has stayed unused goes back.
    std::optional<SlotAsk> ask_nothing(Instant now);
    /// A quota is used up until then.
    std::optional<TotalLimit> full(Instant now) const {
        return rows_.empty() && now < again_ ? full_ : std::nullopt;
    }
    Instant full_until() const { return again_; }

  private:
    struct Row {
        Instant first{};
        Instant::duration gap{};
        uint32_t count = 0;
        int64_t hour = 0;
        Instant until(Instant::duration late) const { return first + std::max(gap, late); }
    };
    void drop_late(Instant now);
    uint32_t here() const;
    void note_unused(int64_t hour, uint32_t count);

    std::deque<Row> rows_;
    uint32_t last_count_ = 0;
    int64_t last_hour_ = 0;  // of what was taken last
    uint32_t unused_ = 0;
    int64_t unused_hour_ = 0;
    bool asked_ = false;
    Instant again_{};
    std::optional<TotalLimit> full_;
};

}  // namespace engine
