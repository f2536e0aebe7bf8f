#include "engine/delivery/slot_lease.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>

namespace engine {
namespace {

using namespace std::chrono_literals;
using storage::WallTime;

constexpr WallTime midnight = std::chrono::sys_days(std::chrono::year{2026} / 11 / 22);

/// A keeper, its shards and a clock. Messages between them take 0 to 2 ms.
class Slots {
  public:
    Slots(SlotKeeper::Rules rules, size_t shards)
        : keeper(rules), shares(shards), under_way(shards) {}

    /// One millisecond: each shard that `wants` begins what it may.
    template <class Wants>
    void turn(Wants wants, std::mt19937& random) {
        now += 1ms;
        wall += 1ms;
        for (size_t i = 0; i < shares.size(); ++i) {
            auto& waiting = under_way[i];
            while (!waiting.empty() && waiting.front().first <= now) {
                shares[i].granted(waiting.front().second, now);
                waiting.pop_front();
            }
            const uint32_t wanted = wants(i);
            uint32_t begun_here = 0;
            while (begun_here < wanted && shares[i].take(now)) {
                begun.push_back(now);
                ++begun_here;
            }
            std::optional<SlotAsk> ask = shares[i].ask(wanted, now);
            if (!ask && wanted == 0 && random() % 500 == 0) ask = shares[i].ask_nothing(now);
            if (!ask) continue;
            if (const auto more = keeper.to_keep(wall)) keeper.kept(*more);
            waiting.emplace_back(now + std::chrono::milliseconds(random() % 3),
                                 keeper.grant(*ask, now, wall));
        }
    }
    /// The most that began within any span of this length.
    size_t most_within(Instant::duration span) const {
        size_t most = 0;
        for (auto first = begun.begin(), last = begun.begin(); last != begun.end(); ++last) {
            while (*last - *first >= span) ++first;
            most = std::max(most, static_cast<size_t>(last - first) + 1);
        }
        return most;
    }

    SlotKeeper keeper;
    std::vector<SlotShare> shares;
    std::vector<std::deque<std::pair<Instant, SlotGrant>>> under_way;
    std::vector<Instant> begun;
    Instant now{24h};
    WallTime wall = midnight + 9h;
};

TEST(SlotLease, BeginsNoMoreThanTheRateAllowsAndNearlyAllOfIt) {
    for (const double rate : {2.0, 37.0, 400.0, 5000.0}) {
        std::mt19937 random(7);
        Slots all({.rate_per_second = rate}, 3);
        for (int ms = 0; ms < 20'000; ++ms) all.turn([](size_t) { return 1000u; }, random);
        const auto count = static_cast<double>(all.begun.size());
        EXPECT_LE(count, rate * 20 + 1) << rate;
        EXPECT_GE(count, rate * 20 * 0.97 - 1) << rate;
        EXPECT_LE(static_cast<double>(all.most_within(1s)), rate * 1.02 + 2) << rate;
    }
}

TEST(SlotLease, HoldsWhenShardsComeAndGo) {
    for (unsigned seed = 1; seed <= 100; ++seed) {
        std::mt19937 random(seed);
        const double rate = 1 + static_cast<double>(random() % 300);
        Slots all({.rate_per_second = rate}, 1 + random() % 4);
        std::vector<uint32_t> wanted(4);
        for (int ms = 0; ms < 5000; ++ms) {
            if (random() % 20 == 0) wanted[random() % 4] = random() % 3 == 0 ? random() % 50 : 0;
            all.turn([&](size_t i) { return wanted[i]; }, random);
        }
        EXPECT_LE(static_cast<double>(all.begun.size()), rate * 5 + 1) << "seed " << seed;
        EXPECT_LE(static_cast<double>(all.most_within(1s)), rate * 1.02 + 2) << "seed " << seed;
    }
}

TEST(SlotLease, AQuotaIsUsedUpAndThenWaitsForTheNextHour) {
    std::mt19937 random(3);
    Slots all({.per_hour = 200}, 2);
    all.wall = midnight + 10h - 2s;
    for (int ms = 0; ms < 2000; ++ms) all.turn([](size_t) { return 5u; }, random);
    EXPECT_EQ(all.begun.size(), 200u);
    ASSERT_EQ(all.shares[0].full(all.now - 1ms), TotalLimit::per_hour);
    EXPECT_LE(all.shares[0].full_until() - all.now, 5ms);
    for (int ms = 0; ms < 2000; ++ms) all.turn([](size_t) { return 5u; }, random);
    EXPECT_EQ(all.begun.size(), 400u) << "the next hour";
}

TEST(SlotLease, WhatAShardDoesNotUseOfAQuotaIsAnothersAgain) {
    std::mt19937 random(3);
    Slots all({.per_day = 1000}, 2);
    // One shard asks for a lot and then has nothing to send.
    for (int ms = 0; ms < 3; ++ms)
        all.turn([&](size_t i) { return i == 0 && ms == 0 ? 100u : 0u; }, random);
    for (int ms = 0; ms < 5000; ++ms) all.turn([](size_t) { return 0u; }, random);
    for (int ms = 0; ms < 5000; ++ms) all.turn([](size_t i) { return i == 1 ? 3u : 0u; }, random);
    EXPECT_EQ(all.begun.size(), 1000u);
    EXPECT_EQ(all.shares[1].full(all.now), TotalLimit::per_day);
}

TEST(SlotLease, AQuotaHoldsOverACrash) {
    std::mt19937 random(3);
    Slots before({.per_day = 1000}, 1);
    QuotaCounts on_disk;
    for (int ms = 0; ms < 100; ++ms) {
        if (const auto more = before.keeper.to_keep(before.wall)) {
            on_disk = *more;
            before.keeper.kept(*more);
        }
        before.turn([](size_t) { return 7u; }, random);
    }
    Slots after({.per_day = 1000}, 1);
    after.keeper.load(parse_quota_counts(to_string(on_disk)));
    for (int ms = 0; ms < 1000; ++ms) after.turn([](size_t) { return 7u; }, random);
    const size_t sent = before.begun.size() + after.begun.size();
    EXPECT_LE(sent, 1000u);
    EXPECT_GE(sent, 950u) << "what was given out and not used is lost";
}

TEST(SlotLease, NothingOfAQuotaIsGivenOutThatIsNotOnDisk) {
    SlotKeeper keeper({.per_hour = 100});
    const Instant now{1h};
    EXPECT_EQ(keeper.grant({.wanted = 10}, now, midnight).count, 0u);
    const auto more = keeper.to_keep(midnight);
    ASSERT_TRUE(more);
    keeper.kept(*more);
    const uint32_t given = keeper.grant({.wanted = 10}, now, midnight).count;
    EXPECT_GT(given, 0u);
    EXPECT_LE(given, more->in_hour);
}

TEST(SlotLease, CountsThatAreNotReadableCountAsNone) {
    EXPECT_EQ(parse_quota_counts("what"), QuotaCounts{});
    const QuotaCounts counts{.hour = 499'000, .day = 20'791, .in_hour = 3, .in_day = 14};
    EXPECT_EQ(parse_quota_counts(to_string(counts)), counts);
}

}  // namespace
}  // namespace engine
