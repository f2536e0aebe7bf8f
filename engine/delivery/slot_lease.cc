#include "engine/delivery/slot_lease.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <utility>

namespace engine {

namespace {

int64_t hour_of(storage::WallTime wall) {
    return std::chrono::floor<std::chrono::hours>(wall).time_since_epoch().count();
}

int64_t day_of_hour(int64_t hour) {
    return hour >= 0 ? hour / 24 : (hour - 23) / 24;
}

Instant::duration gap_at(double rate_per_second) {
    if (rate_per_second <= 0) return {};
    return Instant::duration(static_cast<int64_t>(std::ceil(1e9 / rate_per_second)));
}

}  // namespace

std::string to_string(const QuotaCounts& counts) {
    return fmt::format("{} {} {} {}", counts.hour, counts.in_hour, counts.day, counts.in_day);
}

QuotaCounts parse_quota_counts(std::string_view text) {
    QuotaCounts counts;
    const char* at = text.data();
    const char* const end = text.data() + text.size();
    const auto read = [&](auto& number) {
        while (at < end && *at == ' ') ++at;
        const auto result = std::from_chars(at, end, number);
        at = result.ptr;
        return result.ec == std::errc{};
    };
    const bool whole = read(counts.hour) && read(counts.in_hour) && read(counts.day) &&
                       read(counts.in_day) && at == end;
    return whole ? counts : QuotaCounts{};
}

void SlotKeeper::turn_to(storage::WallTime wall) {
    const int64_t hour = hour_of(wall);
    const int64_t day = day_of_hour(hour);
    if (hour != counts_.hour) {
        counts_.hour = hour;
        counts_.in_hour = 0;
    }
    if (day != counts_.day) {
        counts_.day = day;
        counts_.in_day = 0;
    }
}

void SlotKeeper::take_back(const SlotAsk& ask) {
    if (ask.hour == counts_.hour)
        counts_.in_hour -= std::min<uint64_t>(ask.unused, counts_.in_hour);
    if (day_of_hour(ask.hour) == counts_.day)
        counts_.in_day -= std::min<uint64_t>(ask.unused, counts_.in_day);
}

/// So much is written ahead: a fiftieth of the smaller quota is lost in a crash, at most.
uint64_t SlotKeeper::block() const {
    const uint64_t hour = rules_.per_hour > 0 ? rules_.per_hour : rules_.per_day;
    const uint64_t day = rules_.per_day > 0 ? rules_.per_day : rules_.per_hour;
    return std::clamp<uint64_t>(std::min(hour, day) / 50, 1, 10'000);
}

uint64_t SlotKeeper::allowed_by_disk() const {
    const auto room = [](int64_t is, int64_t on_disk, uint64_t count, uint64_t bound) {
        return is == on_disk && bound > count ? bound - count : 0;
    };
    return std::min(room(counts_.hour, bound_.hour, counts_.in_hour, bound_.in_hour),
                    room(counts_.day, bound_.day, counts_.in_day, bound_.in_day));
}

uint64_t SlotKeeper::left() const {
    uint64_t left = UINT64_MAX;
    const auto cut = [&](uint64_t limit, uint64_t count) {
        if (limit > 0) left = std::min(left, limit > count ? limit - count : 0);
    };
    cut(rules_.per_hour, counts_.in_hour);
    cut(rules_.per_day, counts_.in_day);
    return left;
}

std::optional<QuotaCounts> SlotKeeper::to_keep(storage::WallTime wall) const {
    if (!rules_.has_quota()) return std::nullopt;
    SlotKeeper then(*this);
    then.turn_to(wall);
    if (then.left() == 0 || then.allowed_by_disk() > block() / 2) return std::nullopt;
    QuotaCounts more = then.counts_;
    more.in_hour += block();
    more.in_day += block();
    return more;
}

SlotGrant SlotKeeper::grant(SlotAsk ask, Instant now, storage::WallTime wall) {
    turn_to(wall);
    take_back(ask);
    SlotGrant grant{.hour = counts_.hour};
    uint64_t count = std::min(ask.wanted, at_once_max);
    if (rules_.has_quota()) {
        if (left() == 0) {
            const bool day_is_full = rules_.per_day > 0 && counts_.in_day >= rules_.per_day;
            const auto end =
                std::chrono::hours(day_is_full ? (counts_.day + 1) * 24 : counts_.hour + 1);
            grant.full = day_is_full ? TotalLimit::per_day : TotalLimit::per_hour;
            grant.again = now + (storage::WallTime(end) - wall);
            return grant;
        }
        // Not all to who asks first: others may want some of the rest.
        count = std::min({count, std::max<uint64_t>(left() / 8, 1), allowed_by_disk()});
    }
    grant.gap = gap_at(rules_.rate_per_second);
    if (grant.gap.count() > 0) {
        count = std::min<uint64_t>(count, std::max<int64_t>(ahead / grant.gap, 1));
        next_ = std::max(next_, now);
        grant.first = next_;
        next_ += grant.gap * static_cast<int64_t>(count);
    } else {
        grant.first = now;
    }
    grant.count = static_cast<uint32_t>(count);
    counts_.in_hour += count;
    counts_.in_day += count;
    return grant;
}

void SlotShare::note_unused(int64_t hour, uint32_t count) {
    if (hour != unused_hour_) unused_ = 0;  // of an hour that is over nobody asks
    unused_hour_ = hour;
    unused_ += count;
}

void SlotShare::drop_late(Instant now) {
    while (!rows_.empty()) {
        Row& row = rows_.front();
        const auto late = row.gap.count() == 0 ? Instant::duration(kept_without_rate)
                                               : Instant::duration(late_max);
        if (now < row.until(late)) return;
        if (row.gap.count() == 0) {
            note_unused(row.hour, row.count);
            rows_.pop_front();
            continue;
        }
        note_unused(row.hour, 1);
        row.first += row.gap;
        if (--row.count == 0) rows_.pop_front();
    }
}

uint32_t SlotShare::here() const {
    uint32_t sum = 0;
    for (const Row& row : rows_) sum += row.count;
    return sum;
}

bool SlotShare::take(Instant now) {
    drop_late(now);
    if (rows_.empty() || now < rows_.front().first) return false;
    Row& row = rows_.front();
    last_hour_ = row.hour;
    row.first += row.gap;
    if (--row.count == 0) rows_.pop_front();
    return true;
}

void SlotShare::give_back(Instant now) {
    rows_.push_front({now, std::chrono::milliseconds(1), 1, last_hour_});
}

Instant SlotShare::next(Instant now) {
    drop_late(now);
    if (!rows_.empty()) return rows_.front().first;
    return again_ > now ? again_ : Instant::max();
}

void SlotShare::granted(const SlotGrant& grant, Instant now) {
    asked_ = false;
    again_ = grant.again;
    full_ = grant.full;
    if (grant.count == 0) {
        // The disk is to take note of more first.
        if (!grant.full) again_ = now + std::chrono::milliseconds(5);
        return;
    }
    last_count_ = grant.count;
    rows_.push_back({grant.first, grant.gap, grant.count, grant.hour});
}

bool SlotShare::would_ask(uint32_t wanted, Instant now) const {
    const uint32_t there = here();
    return !asked_ && wanted > there && there <= last_count_ / 2 && now >= again_;
}

std::optional<SlotAsk> SlotShare::ask(uint32_t wanted, Instant now) {
    drop_late(now);
    if (!would_ask(wanted, now)) return std::nullopt;
    asked_ = true;
    return SlotAsk{wanted - here(), std::exchange(unused_, 0), unused_hour_};
}

std::optional<SlotAsk> SlotShare::ask_nothing(Instant now) {
    drop_late(now);
    if (asked_ || unused_ == 0) return std::nullopt;
    asked_ = true;
    return SlotAsk{0, std::exchange(unused_, 0), unused_hour_};
}

}  // namespace engine
