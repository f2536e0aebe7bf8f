#include "engine/reactor/thread_worker.h"

#include <gtest/gtest.h>

#include "engine/reactor/sleep.h"
#include "tests/engine/reactor/support/loop.h"

namespace engine::test {
namespace {

Task<> give(Worker& worker, int number, std::vector<int>& ran, std::vector<int>& resumed) {
    const auto work = [&ran, number] { ran.push_back(number); };
    co_await worker.run(work);
    resumed.push_back(number);
}

TEST(ThreadWorker, RunsAndResumesInTheOrderGiven) {
    Loop loop;
    ThreadWorker worker(*loop.reactor, "test", 4);
    std::vector<int> ran;
    std::vector<int> resumed;
    std::vector<int> expected;
    for (int i = 0; i < 1000; ++i) {
        expected.push_back(i);
        loop.scope.spawn(give(worker, i, ran, resumed));
    }
    EXPECT_EQ(worker.backlog(), 1000U);
    loop.run();
    EXPECT_EQ(ran, expected);
    EXPECT_EQ(resumed, expected);
    EXPECT_EQ(worker.backlog(), 0U);
}

Task<> note_threads(Worker& worker, std::thread::id& inside, std::thread::id& after) {
    co_await worker.run([&inside] { inside = std::this_thread::get_id(); });
    after = std::this_thread::get_id();
}

TEST(ThreadWorker, WorksElsewhereAndComesBack) {
    Loop loop;
    ThreadWorker worker(*loop.reactor, "test");
    std::thread::id inside;
    std::thread::id after;
    loop.scope.spawn(note_threads(worker, inside, after));
    loop.run();
    EXPECT_NE(inside, std::this_thread::get_id());
    EXPECT_EQ(after, std::this_thread::get_id());
}

Task<> ping_pong(Worker& worker, int rounds, int& count) {
    for (int i = 0; i < rounds; ++i) co_await worker.run([&count] { ++count; });
}

TEST(ThreadWorker, LosesNoWakeWhenBothSidesFallAsleepAllTheTime) {
    Loop loop;
    ThreadWorker worker(*loop.reactor, "test");
    int count = 0;
    loop.scope.spawn(ping_pong(worker, 5000, count));
    loop.run();
    EXPECT_EQ(count, 5000);
}

Task<> tick(Reactor& reactor, int& ticks) {
    for (; ticks < 5; ++ticks) co_await sleep_for(reactor, 1ms);
}

TEST(ThreadWorker, LeavesTheShardFreeWhileItWorks) {
    Loop loop;
    ThreadWorker worker(*loop.reactor, "test");
    std::atomic<bool> finish{false};
    int ticks = 0;
    const auto block = [](Worker& slow, std::atomic<bool>& until) -> Task<> {
        co_await slow.run([&until] { until.wait(false); });
    };
    loop.scope.spawn(block(worker, finish));
    loop.scope.spawn(tick(*loop.reactor, ticks));
    while (ticks < 5) loop.reactor->turn(Instant::max());
    EXPECT_EQ(worker.backlog(), 1U);
    finish = true;
    finish.notify_one();
    loop.run();
}

}  // namespace
}  // namespace engine::test
