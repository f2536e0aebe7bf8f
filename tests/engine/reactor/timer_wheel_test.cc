#include "engine/reactor/timer_wheel.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

namespace engine {
namespace {

const Instant start = Instant{} + 5s;

std::vector<TimerNode*> expired(TimerWheel& wheel, Instant now) {
    std::vector<TimerNode*> nodes;
    for (TimerNode* node = wheel.advance(now); node != nullptr; node = node->next)
        nodes.push_back(node);
    return nodes;
}

TEST(TimerWheel, ExpiresAtTheDeadlineAndNotBefore) {
    TimerWheel wheel(start);
    TimerNode node;
    wheel.add(node, start + 100ms);
    EXPECT_TRUE(expired(wheel, start + 99ms).empty());
    EXPECT_TRUE(node.armed());
    EXPECT_EQ(expired(wheel, start + 100ms), std::vector{&node});
    EXPECT_FALSE(node.armed());
    EXPECT_TRUE(wheel.empty());
}

TEST(TimerWheel, RoundsUpToItsTick) {
    TimerWheel wheel(start);
    TimerNode node;
    wheel.add(node, start + 1100us);
    EXPECT_EQ(wheel.next_expiry(), start + 2ms);
    EXPECT_TRUE(expired(wheel, start + 1900us).empty());
    EXPECT_EQ(expired(wheel, start + 2ms).size(), 1U);
}

TEST(TimerWheel, ExpiresAPassedDeadlineInTheNextAdvance) {
    TimerWheel wheel(start);
    wheel.advance(start + 10s);
    TimerNode past;
    TimerNode before_the_start;
    wheel.add(past, start + 1s);
    wheel.add(before_the_start, Instant::min());
    EXPECT_LE(wheel.next_expiry(), start + 10s);
    EXPECT_EQ(expired(wheel, start + 10s).size(), 2U);
    EXPECT_EQ(wheel.next_expiry(), Instant::max());
}

TEST(TimerWheel, ForgetsARemovedTimer) {
    TimerWheel wheel(start);
    TimerNode first;
    TimerNode second;
    wheel.add(first, start + 1h);
    wheel.add(second, start + 1h);
    wheel.remove(first);
    wheel.remove(first);
    EXPECT_EQ(expired(wheel, start + 2h), std::vector{&second});
    wheel.add(first, start + 3h);
    wheel.remove(first);
    EXPECT_EQ(wheel.next_expiry(), Instant::max());
}

TEST(TimerWheel, HoldsDeadlinesBeyondItsRange) {
    TimerWheel wheel(start);
    TimerNode node;
    wheel.add(node, Instant::max());
    EXPECT_TRUE(expired(wheel, start + std::chrono::years(100)).empty());
    wheel.remove(node);
    EXPECT_TRUE(wheel.empty());
}

// Against a multimap, with jumps from a microsecond to a day.
TEST(TimerWheel, DoesWhatASortedMapDoes) {
    std::mt19937_64 random(1);
    TimerWheel wheel(start);
    Instant now = start;
    std::vector<TimerNode> nodes(500);
    std::map<TimerNode*, Instant> model;
    const auto jump = [&] { return std::chrono::nanoseconds(1ULL << (random() % 47)); };
    for (int step = 0; step < 50000; ++step) {
        TimerNode& node = nodes[random() % nodes.size()];
        if (random() % 3 == 0) {
            wheel.remove(node);
            model.erase(&node);
        } else if (!node.armed()) {
            model[&node] = now + jump();
            wheel.add(node, model[&node]);
        }
        Instant first = Instant::max();
        for (const auto& [_, deadline] : model) first = std::min(first, deadline);
        if (!model.empty()) EXPECT_LE(wheel.next_expiry(), first + 1ms);
        EXPECT_EQ(wheel.empty(), model.empty());

        now = random() % 4 == 0 ? std::max(now, std::min(wheel.next_expiry(), now + 24h))
                                : now + jump() / 64;
        for (TimerNode* over : expired(wheel, now)) {
            EXPECT_LE(model.at(over), now) << "too early";
            model.erase(over);
        }
        for (const auto& [_, deadline] : model) EXPECT_GT(deadline + 1ms, now) << "too late";
    }
}

TEST(TimerWheel, ReachesEveryTimerByFollowingNextExpiry) {
    std::mt19937_64 random(2);
    TimerWheel wheel(start);
    std::vector<TimerNode> nodes(1000);
    for (TimerNode& node : nodes)
        wheel.add(node, start + std::chrono::milliseconds(random() % 100'000'000));
    size_t seen = 0;
    int advances = 0;
    for (; !wheel.empty(); ++advances) seen += expired(wheel, wheel.next_expiry()).size();
    EXPECT_EQ(seen, nodes.size());
    EXPECT_LT(advances, 6000);  // each timer cascades through at most a few levels
}

}  // namespace
}  // namespace engine
