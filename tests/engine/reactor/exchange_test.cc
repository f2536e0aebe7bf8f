#include "engine/reactor/exchange.h"

#include <gtest/gtest.h>

#include "engine/reactor/call.h"
#include "engine/reactor/shard_thread.h"
#include "engine/reactor/signal.h"
#include "engine/reactor/sleep.h"
#include "tests/engine/reactor/support/loop.h"

namespace engine::test {
namespace {

/// Two shards turned by hand on one thread.
struct TwoShards {
    explicit TwoShards(size_t capacity = 4) : exchange(2, capacity) {
        exchange.attach(0, *first.reactor);
        exchange.attach(1, *second.reactor);
    }
    void turn() {
        first.reactor->turn(first.reactor->now());
        second.reactor->turn(second.reactor->now());
    }
    Loop first;
    Loop second;
    Exchange exchange;
};

TEST(Exchange, RunsMessagesInTheOrderOfSendingEvenWhenTheRingIsFull) {
    TwoShards shards;
    std::vector<int> ran;
    std::vector<int> expected;
    for (int i = 0; i < 100; ++i) {
        expected.push_back(i);
        shards.exchange.post(0).send(1, [&ran, i] { ran.push_back(i); });
    }
    EXPECT_TRUE(ran.empty());
    EXPECT_EQ(shards.exchange.post(0).waiting(), 100U);
    for (int i = 0; i < 100; ++i) shards.turn();
    EXPECT_EQ(ran, expected);
    EXPECT_EQ(shards.exchange.post(0).waiting(), 0U);
}

TEST(Exchange, SendsToItselfInALaterTurnOnly) {
    TwoShards shards;
    Post& post = shards.exchange.post(0);
    int ran = 0;
    post.send(0, [&] {
        ++ran;
        post.send(0, [&ran] { ++ran; });
        EXPECT_EQ(ran, 1);
    });
    EXPECT_EQ(ran, 0);
    for (int i = 0; i < 3; ++i) shards.turn();
    EXPECT_EQ(ran, 2);
}

TEST(Exchange, DestroysWhatNobodyReceived) {
    const auto token = std::make_shared<int>(1);
    {
        TwoShards shards(2);
        for (int i = 0; i < 10; ++i) shards.exchange.post(0).send(1, [token] {});
        shards.first.reactor->turn(shards.first.reactor->now());
    }
    EXPECT_EQ(token.use_count(), 1);
}

/// Each shard on a thread of its own.
struct Shards {
    explicit Shards(ShardId count, size_t capacity = 8) : exchange(count, capacity) {
        for (ShardId i = 0; i < count; ++i) {
            reactors.push_back(
                std::move(UringReactor::create({.entries = 64, .buffer_count = 8}).value()));
            exchange.attach(i, *reactors.back());
        }
    }
    void start(ShardId i, std::move_only_function<void()> work) {
        threads.push_back(std::make_unique<ShardThread>(*reactors[i], "shard" + std::to_string(i),
                                                        std::nullopt, std::move(work)));
    }
    Exchange exchange;
    std::vector<std::unique_ptr<UringReactor>> reactors;
    std::vector<std::unique_ptr<ShardThread>> threads;
};

/// Counts down on the shards' threads; the test waits.
struct Countdown {
    explicit Countdown(uint64_t count) : left(count) {}
    void hit() {
        if (--left == 0) left.notify_all();
    }
    void wait() {
        for (uint64_t now = left; now != 0; now = left) left.wait(now);
    }
    std::atomic<uint64_t> left;
};

// Every shard floods every other through rings of eight, and every message is answered: wakes, full
// rings and sleeping shards in all combinations. A lost wake would hang here.
TEST(Exchange, LosesNothingWhenAllShardsFloodEachOther) {
    constexpr ShardId count = 3;
    constexpr int messages = 3000;
    Countdown answers(uint64_t{count} * (count - 1) * messages);
    Shards shards(count);
    for (ShardId self = 0; self < count; ++self) {
        shards.start(self, [&, self] {
            Post& post = shards.exchange.post(self);
            for (int i = 0; i < messages; ++i) {
                for (ShardId to = 0; to < count; ++to) {
                    if (to == self) continue;
                    post.send(to, [&, self, to] {
                        shards.exchange.post(to).send(self, [&] { answers.hit(); });
                    });
                }
            }
        });
    }
    answers.wait();
    EXPECT_EQ(answers.left, 0U);
}

Task<int> slow_square(Reactor& reactor, int number) {
    co_await sleep_for(reactor, 1ms);
    co_return number* number;
}

Task<> ask_around(Shards& shards, std::thread::id home, Countdown& done) {
    Post& here = shards.exchange.post(0);
    Post& there = shards.exchange.post(1);
    const auto number = co_await call(here, there, [] { return std::make_unique<int>(7); });
    EXPECT_EQ(*number, 7);
    std::thread::id elsewhere;
    co_await call(here, there, [&elsewhere] { elsewhere = std::this_thread::get_id(); });
    EXPECT_NE(elsewhere, home);
    const auto square = [&shards] [[clang::coro_wrapper]] {
        return slow_square(*shards.reactors[1], 9);
    };
    const int squared = co_await call(here, there, square);
    EXPECT_EQ(squared, 81);
    for (int i = 0; i < 2000; ++i) EXPECT_EQ(co_await call(here, there, [i] { return i; }), i);
    EXPECT_EQ(std::this_thread::get_id(), home);
    done.hit();
}

TEST(Call, BringsTheAnswerOfAnotherShardHome) {
    Countdown done(1);
    Scope scope;
    Shards shards(2);
    shards.start(1, {});
    shards.start(0, [&] { scope.spawn(ask_around(shards, std::this_thread::get_id(), done)); });
    done.wait();
    shards.threads.clear();
}

TEST(Wake, EndsASleepThatHasNoOtherEnd) {
    Shards shards(1);
    shards.start(0, {});
    shards.threads[0]->stop();  // hangs if the wake is lost
    EXPECT_GE(shards.reactors[0]->stats().turns, 1U);
}

TEST(Wake, SurvivesAStormFromManyThreads) {
    Shards shards(1);
    shards.start(0, {});
    {
        std::vector<std::jthread> storm;
        for (int i = 0; i < 4; ++i) {
            storm.emplace_back([&] {
                for (int n = 0; n < 20000; ++n) shards.reactors[0]->wake();
            });
        }
    }
    shards.threads[0]->stop();
    // Most wakes find the shard awake and cost no system call.
    EXPECT_LT(shards.reactors[0]->stats().cqes, 80000U);
}

}  // namespace
}  // namespace engine::test
