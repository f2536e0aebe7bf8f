#include "engine/reactor/steady_wall.h"

#include <gtest/gtest.h>

namespace engine {
namespace {

using namespace std::chrono_literals;

constexpr Instant begin{100s};
constexpr auto epoch = std::chrono::nanoseconds(1'795'000'000s);

/// A machine whose clock is set now and then.
struct Machine {
    Instant now = begin;
    std::chrono::nanoseconds set{0};
    SteadyWall wall{begin, epoch};

    WallTime look() { return wall.look(now, epoch + (now - begin) + set); }
};

TEST(SteadyWall, IsTheMachinesClockWhereNothingJumps) {
    Machine machine;
    for (int i = 0; i < 1000; ++i) {
        machine.now += 12345678ns;
        EXPECT_EQ(
            machine.look(),
            WallTime(std::chrono::floor<std::chrono::milliseconds>(epoch + (machine.now - begin))));
    }
    EXPECT_EQ(machine.wall.lag(), 0ns);
}

TEST(SteadyWall, RunsATenthFasterAtMostWhenTheClockIsSetForwards) {
    Machine machine;
    const WallTime before = machine.look();
    machine.set = 24h;
    EXPECT_EQ(machine.look(), before);
    EXPECT_EQ(machine.wall.lag(), 24h);
    machine.now += 10min;
    EXPECT_EQ(machine.look() - before, 11min);
}

TEST(SteadyWall, RunsATenthSlowerAtMostWhenTheClockIsSetBackwards) {
    Machine machine;
    const WallTime before = machine.look();
    machine.set = -24h;
    machine.now += 10min;
    EXPECT_EQ(machine.look() - before, 9min);
}

TEST(SteadyWall, ReachesTheMachinesClockAndStaysWithIt) {
    for (const auto set : {+1min, -1min}) {
        Machine machine;
        machine.set = set;
        for (int i = 0; i < 10 * 60; ++i) {
            machine.now += 1s;
            machine.look();
        }
        EXPECT_EQ(machine.wall.lag(), 0ns);
        const WallTime there = machine.look();
        machine.now += 1s;
        EXPECT_EQ(machine.look() - there, 1s);
    }
}

TEST(SteadyWall, NeverGoesBackwards) {
    Machine machine;
    WallTime last = machine.look();
    for (int i = 0; i < 1000; ++i) {
        machine.set = (i % 7 - 3) * 5h;
        machine.now += std::chrono::microseconds(i * 997 % 40'000);
        const WallTime next = machine.look();
        EXPECT_GE(next, last);
        last = next;
    }
}

}  // namespace
}  // namespace engine
