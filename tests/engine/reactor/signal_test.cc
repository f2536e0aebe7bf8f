#include "engine/reactor/signal.h"

#include <gtest/gtest.h>

#include "engine/reactor/sleep.h"
#include "tests/engine/reactor/support/loop.h"

namespace engine::test {
namespace {

Task<> wait_for(Signal& signal, int number, std::vector<int>& order) {
    co_await signal.wait();
    order.push_back(number);
}
Task<> wait_until(Signal& signal, Instant deadline, std::optional<bool>& notified) {
    notified = co_await signal.wait_until(deadline);
}

TEST(Signal, WakesWaitersInTheirOrderAndNoMoreThanAsked) {
    Loop loop;
    Signal signal(*loop.reactor);
    std::vector<int> order;
    for (int i = 0; i < 4; ++i) loop.scope.spawn(wait_for(signal, i, order));
    signal.notify_one();
    signal.notify_one();
    EXPECT_TRUE(order.empty()) << "resumed inside notify";
    loop.settle();
    EXPECT_EQ(order, (std::vector{0, 1}));
    EXPECT_EQ(signal.waiters(), 2U);
    signal.notify_all();
    loop.run();
    EXPECT_EQ(order, (std::vector{0, 1, 2, 3}));
}

TEST(Signal, IsForgottenWhenNobodyWaits) {
    Loop loop;
    Signal signal(*loop.reactor);
    signal.notify_all();
    std::optional<bool> notified;
    loop.scope.spawn(wait_until(signal, loop.reactor->now() + 5ms, notified));
    loop.run();
    EXPECT_EQ(notified, false);
}

TEST(Signal, TellsADeadlineFromANotification) {
    Loop loop;
    Signal signal(*loop.reactor);
    std::optional<bool> early;
    std::optional<bool> late;
    loop.scope.spawn(wait_until(signal, loop.reactor->now() + 1h, early));
    loop.scope.spawn(wait_until(signal, loop.reactor->now() + 5ms, late));
    signal.notify_one();
    loop.run();
    EXPECT_EQ(early, true);
    EXPECT_EQ(late, false);
    EXPECT_EQ(signal.waiters(), 0U);
}

// Both the deadline and the notification come in one turn, and the notification comes second.
Task<> notify_at(Reactor& reactor, Signal& signal, Instant when) {
    co_await sleep_until(reactor, when);
    signal.notify_one();
}

TEST(Signal, DoesNotLoseANotificationToAWaiterWhoseTimeIsUp) {
    Loop loop;
    Signal signal(*loop.reactor);
    std::optional<bool> notified;
    const Instant when = loop.reactor->now() + 5ms;
    loop.scope.spawn(notify_at(*loop.reactor, signal, when));
    loop.scope.spawn(wait_until(signal, when, notified));
    loop.run();
    EXPECT_EQ(notified, true);
}

Task<> wait_for(Event& event, int& passed) {
    co_await event.wait();
    ++passed;
}
Task<> wait_for(Event& event, Instant deadline, std::optional<bool>& is_set) {
    is_set = co_await event.wait_until(deadline);
}

TEST(Event, LetsAllPassOnceItIsSet) {
    Loop loop;
    Event event(*loop.reactor);
    int passed = 0;
    loop.scope.spawn(wait_for(event, passed));
    loop.scope.spawn(wait_for(event, passed));
    loop.settle();
    EXPECT_EQ(passed, 0);
    event.set();
    loop.run();
    loop.scope.spawn(wait_for(event, passed));
    EXPECT_EQ(passed, 3);
    event.reset();
    std::optional<bool> is_set;
    loop.scope.spawn(wait_for(event, loop.reactor->now() + 3ms, is_set));
    loop.run();
    EXPECT_EQ(is_set, false);
}

Task<> nap(Reactor& reactor, std::chrono::milliseconds length, std::vector<int>& order) {
    const Instant before = reactor.now();
    co_await sleep_for(reactor, length);
    EXPECT_GE(reactor.now() - before, length);
    order.push_back(static_cast<int>(length.count()));
}

TEST(Sleep, WakesInTheOrderOfDeadlines) {
    Loop loop;
    std::vector<int> order;
    for (const auto length : {20ms, 5ms, 0ms, 12ms})
        loop.scope.spawn(nap(*loop.reactor, length, order));
    loop.run();
    EXPECT_EQ(order, (std::vector{0, 5, 12, 20}));
}

}  // namespace
}  // namespace engine::test
