#include "engine/reactor/worker_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "engine/reactor/mpmc_ring.h"
#include "engine/reactor/sleep.h"
#include "tests/engine/reactor/support/loop.h"

namespace engine::test {
namespace {

using namespace std::chrono_literals;

Task<> count_up(Worker& worker, int rounds, std::atomic<int>& count) {
    for (int i = 0; i < rounds; ++i) co_await worker.run([&count] { ++count; });
}

TEST(WorkerPool, RunsWorkElsewhereAndResumesHere) {
    WorkerPool pool("test", 2, 1);
    Loop loop;
    PoolPort port(pool, *loop.reactor);
    std::thread::id inside, after;
    const auto note = [](Worker& worker, std::thread::id& there, std::thread::id& here) -> Task<> {
        co_await worker.run([&there] { there = std::this_thread::get_id(); });
        here = std::this_thread::get_id();
    };
    loop.scope.spawn(note(port, inside, after));
    loop.run();
    EXPECT_NE(inside, std::this_thread::get_id());
    EXPECT_EQ(after, std::this_thread::get_id());
}

TEST(WorkerPool, LosesNoWakeWhenAllFallAsleepAllTheTime) {
    WorkerPool pool("test", 3, 1);
    Loop loop;
    PoolPort port(pool, *loop.reactor);
    std::atomic<int> count{0};
    loop.scope.spawn(count_up(port, 5000, count));
    loop.run();
    EXPECT_EQ(count, 5000);
}

TEST(WorkerPool, LetsMoreJobsWaitThanItsThreadsTake) {
    WorkerPool pool("test", 2, 1);
    Loop loop;
    PoolPort port(pool, *loop.reactor);
    std::atomic<int> count{0};
    constexpr int tasks = 5 * WorkerPool::jobs_per_port;
    for (int i = 0; i < tasks; ++i) loop.scope.spawn(count_up(port, 20, count));
    EXPECT_EQ(port.backlog(), static_cast<size_t>(tasks));
    loop.run();
    EXPECT_EQ(count, tasks * 20);
    EXPECT_EQ(port.backlog(), 0U);
}

TEST(WorkerPool, ServesSeveralShardsAtOnce) {
    constexpr int shards = 3, rounds = 3000;
    WorkerPool pool("test", 2, shards);
    std::atomic<int> count{0};
    std::vector<std::thread> threads;
    for (int shard = 0; shard < shards; ++shard) {
        threads.emplace_back([&] {
            Loop loop;
            PoolPort port(pool, *loop.reactor);
            for (int i = 0; i < 10; ++i) loop.scope.spawn(count_up(port, rounds / 10, count));
            loop.run();
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(count, shards * rounds);
}

TEST(WorkerPool, OneLongJobHoldsUpNobodyElse) {
    WorkerPool pool("test", 2, 1);
    Loop loop;
    PoolPort port(pool, *loop.reactor);
    std::atomic<bool> finish{false};
    std::atomic<int> count{0};
    const auto block = [](Worker& slow, std::atomic<bool>& until) -> Task<> {
        co_await slow.run([&until] { until.wait(false); });
    };
    loop.scope.spawn(block(port, finish));
    loop.scope.spawn(count_up(port, 10, count));
    while (count < 10) loop.reactor->turn(loop.reactor->now() + 1ms);
    EXPECT_LE(port.backlog(), 2U);
    finish = true;
    finish.notify_one();
    loop.run();
}

TEST(WorkerPool, SaysWhenItsThreadsHaveEnoughToDo) {
    constexpr size_t enough = 2 * WorkerPool::saturated_jobs;
    WorkerPool pool("test", 2, 1);
    Loop loop;
    PoolPort port(pool, *loop.reactor);
    std::atomic<bool> finish{false};
    const auto block = [](Worker& worker, std::atomic<bool>& until) -> Task<> {
        co_await worker.run([&until] { until.wait(false); });
    };
    for (size_t i = 1; i < enough; ++i) loop.scope.spawn(block(port, finish));
    EXPECT_FALSE(port.saturated());
    loop.scope.spawn(block(port, finish));
    EXPECT_TRUE(port.saturated());
    finish = true;
    finish.notify_all();
    loop.run();
    EXPECT_FALSE(port.saturated());
}

Task<> count_up_briefly(Worker& worker, int rounds, std::atomic<int>& count) {
    for (int i = 0; i < rounds; ++i) co_await worker.run_briefly([&count] { ++count; });
}

TEST(WorkerPool, BringsTheEndsOfBriefJobsBackWhateverComesBehindThem) {
    constexpr int shards = 2, rounds = 2000;
    WorkerPool pool("test", 2, shards);
    std::atomic<int> brief{0}, other{0};
    std::vector<std::thread> threads;
    for (int shard = 0; shard < shards; ++shard) {
        threads.emplace_back([&] {
            Loop loop;
            PoolPort port(pool, *loop.reactor);
            for (int i = 0; i < 7; ++i) loop.scope.spawn(count_up_briefly(port, rounds, brief));
            loop.scope.spawn(count_up(port, rounds, other));
            loop.run();
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(brief, shards * 7 * rounds);
    EXPECT_EQ(other, shards * rounds);
}

TEST(WorkerPool, ALongJobDoesNotHoldUpTheEndOfABriefOne) {
    WorkerPool pool("test", 1, 1);
    Loop loop;
    PoolPort port(pool, *loop.reactor);
    std::atomic<bool> finish{false};
    std::atomic<int> count{0};
    const auto block = [](Worker& slow, std::atomic<bool>& until) -> Task<> {
        co_await slow.run([&until] { until.wait(false); });
    };
    loop.scope.spawn(count_up_briefly(port, 1, count));
    loop.scope.spawn(block(port, finish));
    while (port.backlog() > 1) loop.reactor->turn(loop.reactor->now() + 1h);
    EXPECT_EQ(count, 1);
    finish = true;
    finish.notify_one();
    loop.run();
}

TEST(MpmcRing, GivesEveryValueOnceWhateverThreadsDo) {
    constexpr int each = 20'000, givers = 2, takers = 2;
    MpmcRing<int> ring(8);
    std::atomic<int> taken{0};
    std::vector<std::vector<int>> got(takers);
    std::vector<std::thread> threads;
    for (int giver = 0; giver < givers; ++giver) {
        threads.emplace_back([&, giver] {
            for (int i = 0; i < each; ++i)
                while (!ring.push(1 + giver * each + i)) std::this_thread::yield();
        });
    }
    for (int taker = 0; taker < takers; ++taker) {
        threads.emplace_back([&, taker] {
            for (int value = 0; taken < each * givers;) {
                if (!ring.pop(value)) {
                    std::this_thread::yield();
                    continue;
                }
                ++taken;
                got[static_cast<size_t>(taker)].push_back(value);
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    std::set<int> all;
    for (const auto& values : got) all.insert(values.begin(), values.end());
    EXPECT_EQ(all.size(), static_cast<size_t>(each * givers));
    EXPECT_TRUE(ring.empty());
}

TEST(MpmcRing, RefusesWhenFullAndKeepsTheOrderOfOneGiver) {
    MpmcRing<int> ring(4);
    for (int lap = 0; lap < 3; ++lap) {
        for (int i = 1; i <= 4; ++i) EXPECT_TRUE(ring.push(i));
        EXPECT_FALSE(ring.push(5));
        int value = 0;
        for (int i = 1; i <= 4; ++i) {
            EXPECT_TRUE(ring.pop(value));
            EXPECT_EQ(value, i);
        }
        EXPECT_FALSE(ring.pop(value));
    }
}

}  // namespace
}  // namespace engine::test
