#include "engine/delivery/unit_lease.h"

#include <algorithm>

#include "metrics/check.h"

namespace engine {

void UnitKeeper::told(size_t shard, UnitNeed need) {
    Shard& from = shards_.at(shard);
    from.held += need.found;
    CHECK(need.returned <= from.held, "a shard gave back more units than it was lent");
    from.held -= need.returned;
    from.need = need.need;
}

void UnitKeeper::adopt(size_t shard, uint32_t units) {
    shards_.at(shard).held += units;
    shards_.at(shard).need = std::max(shards_.at(shard).need, shards_.at(shard).held);
}

uint32_t UnitKeeper::lent() const {
    uint32_t sum = 0;
    for (const Shard& shard : shards_) sum += shard.held;
    return sum;
}

/// As even as needs allow. What does not divide evenly goes to the shards from `turn_` on, and
/// stays there, or connections would move for nothing; but a shard that gets none at all has its
/// turn.
std::vector<uint32_t> UnitKeeper::parts(Instant now) {
    std::vector<uint32_t> parts(shards_.size());
    uint64_t left = limit_;
    const auto wants = [&](size_t i) { return parts[i] < shards_[i].need; };
    for (;;) {
        uint32_t hungry = 0;
        for (size_t i = 0; i < shards_.size(); ++i) hungry += wants(i);
        if (hungry == 0 || left < hungry) break;
        const auto each = static_cast<uint32_t>(left / hungry);
        for (size_t i = 0; i < shards_.size(); ++i) {
            if (!wants(i)) continue;
            const uint32_t more = std::min(each, shards_[i].need - parts[i]);
            parts[i] += more;
            left -= more;
        }
    }
    const auto starves = [&](size_t i) { return shards_[i].need > 0 && parts[i] == 0; };
    size_t starving = 0;
    for (size_t i = 0; i < shards_.size(); ++i) starving += starves(i);
    if (starving > left && now >= turn_until_) {
        turn_ = (turn_ + 1) % shards_.size();
        // Not to one that needs none.
        while (!starves(turn_)) turn_ = (turn_ + 1) % shards_.size();
        turn_until_ = now + turn_length;
    }
    for (size_t k = 0; k < shards_.size() && left > 0; ++k) {
        const size_t i = (turn_ + k) % shards_.size();
        if (!wants(i)) continue;
        ++parts[i];
        --left;
    }
    return parts;
}

std::vector<std::pair<size_t, UnitAward>> UnitKeeper::awards(Instant now) {
    uint64_t claimed = 0;
    uint32_t lent = 0;
    for (const Shard& shard : shards_) {
        claimed += std::max(shard.need, shard.held);
        lent += shard.held;
    }
    const bool scarce = claimed > limit_;
    const std::vector<uint32_t> fair = parts(now);
    std::vector<std::pair<size_t, UnitAward>> awards;
    for (size_t i = 0; i < shards_.size(); ++i) {
        Shard& shard = shards_[i];
        UnitAward award{.target = scarce ? fair[i] : UINT32_MAX, .scarce = scarce};
        if (shard.held < fair[i] && lent < limit_) {
            award.granted = std::min(fair[i] - shard.held, limit_ - lent);
            shard.held += award.granted;
            lent += award.granted;
        }
        const bool news = award.granted > 0 || award.target != shard.last.target ||
                          award.scarce != shard.last.scarce;
        if (!news) continue;
        shard.last = award;
        awards.emplace_back(i, award);
    }
    return awards;
}

void UnitShare::take() {
    CHECK(free(), "a unit was taken that the keeper has not lent");
    ++used_;
    peak_ = std::max(peak_, used_);
}

void UnitShare::release() {
    CHECK(used_ > 0, "a unit was given back twice");
    --used_;
}

void UnitShare::award(const UnitAward& award) {
    held_ += award.granted;
    target_ = award.target;
    scarce_ = award.scarce;
}

void UnitShare::adopt(uint32_t units) {
    held_ += units;
    used_ += units;
    peak_ = std::max(peak_, used_);
}

void UnitShare::find(uint32_t units) {
    adopt(units);
    found_ += units;
}

std::optional<UnitNeed> UnitShare::tell(uint32_t waiting) {
    const uint32_t need = used_ + waiting;
    peak_ = std::max(peak_, need);
    const uint32_t unused = held_ - used_;
    uint32_t given = held_ > target_ ? std::min(unused, held_ - target_) : 0;
    if (scarce_ && held_ > need) given = std::max(given, held_ - need);
    const bool news = need > held_ - given || (scarce_ && need < told_);
    if (found_ == 0 && given == 0 && (need == told_ || !news)) return std::nullopt;
    return say(need, given);
}

std::optional<UnitNeed> UnitShare::tell_all(uint32_t waiting) {
    const uint32_t need = used_ + waiting;
    const uint32_t kept = std::max({std::exchange(peak_, need), need, used_});
    const uint32_t over_target = held_ > target_ ? std::min(held_ - used_, held_ - target_) : 0;
    const uint32_t given = std::max(held_ > kept ? held_ - kept : 0, over_target);
    // Said again while it is not met: the keeper lets shards take turns when it is told.
    if (found_ == 0 && given == 0 && need == told_ && need <= held_) return std::nullopt;
    return say(need, given);
}

std::optional<UnitNeed> UnitShare::say(uint32_t need, uint32_t given) {
    held_ -= given;
    told_ = need;
    return UnitNeed{need, given, std::exchange(found_, 0)};
}

}  // namespace engine
