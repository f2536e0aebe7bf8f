#include "engine/delivery/tempo.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <vector>

namespace engine {
namespace {

using namespace std::chrono_literals;

/// A receiver that takes so many connections, and messages by a bucket of tokens.
struct Receiver {
    size_t connections = 5;
    double rate = 50, depth = 5;
    double tokens = 5;
    Instant filled{};

    bool takes(Instant now) {
        const double passed = std::chrono::duration<double>(now - filled).count();
        tokens = std::min(depth, tokens + passed * rate);
        filled = now;
        if (tokens < 1) return false;
        tokens -= 1;
        return true;
    }
};

/// A sender with mail without end and up to 20 connections, each with one message on the way.
class Sender {
  public:
    explicit Sender(Receiver& receiver, Tempo tempo = {}) : tempo(tempo), receiver_(receiver) {}

    struct Counts {
        int taken = 0, refused = 0, connections_refused = 0;
    };
    /// In steps of a millisecond.
    Counts run(std::chrono::milliseconds length) {
        Counts counts;
        for (const Instant end = now + length; now < end; now += 1ms) {
            connect(counts);
            for (; !on_the_way_.empty() && on_the_way_.front().answer <= now;
                 on_the_way_.pop_front())
                answer(counts, on_the_way_.front());
            while (on_the_way_.size() < open && now >= tempo.hold_until() && now >= last_ + gap()) {
                last_ = now;
                on_the_way_.push_back({now, now + round_trip, receiver_.takes(now)});
            }
        }
        return counts;
    }

    Tempo tempo;
    size_t open = 0;
    Instant now{1h};
    std::chrono::milliseconds round_trip{20};

  private:
    struct Message {
        Instant began, answer;
        bool taken;
    };
    Instant::duration gap() const {
        return std::chrono::duration_cast<Instant::duration>(
            std::chrono::duration<double>(1 / tempo.rate()));
    }
    void connect(Counts& counts) {
        while (open < std::min<size_t>(20, tempo.connections(now)) && now >= connect_after_) {
            if (open < receiver_.connections) {
                tempo.connected(++open, now);
                continue;
            }
            ++counts.connections_refused;
            tempo.connection_refused(open, now);
            connect_after_ = now + 1s;
        }
    }
    void answer(Counts& counts, const Message& message) {
        ++(message.taken ? counts.taken : counts.refused);
        if (message.taken)
            tempo.taken(now);
        else
            tempo.refused(message.began, now);
    }

    Receiver& receiver_;
    std::deque<Message> on_the_way_;
    Instant last_{}, connect_after_{};
};

// The receiver of issue 5, as hard as it can be: no more than a tenth of a second's worth at once.
TEST(Tempo, UsesWhatAReceiverTakesAndIsRarelyRefusedAfterAMinute) {
    for (const auto round_trip : {1ms, 20ms, 200ms}) {
        Receiver receiver;
        Sender sender(receiver);
        sender.round_trip = round_trip;
        sender.run(60s);
        const auto counts = sender.run(300s);
        // 5 connections of 200 ms a message take 25 a second, whatever the rate.
        const double capacity =
            300.0 * std::min(50.0, 5000.0 / static_cast<double>(round_trip.count()));
        EXPECT_GE(counts.taken, 0.95 * capacity) << round_trip.count();
        EXPECT_LT(counts.refused, 0.03 * (counts.taken + counts.refused)) << round_trip.count();
        EXPECT_EQ(sender.open, 5u);
        EXPECT_LE(counts.connections_refused, 10);
        RecordProperty("taken_" + std::to_string(round_trip.count()), counts.taken);
        std::printf("round trip %d ms: %d taken of %.0f, %d refused, %d connections refused\n",
                    int(round_trip.count()), counts.taken, capacity, counts.refused,
                    counts.connections_refused);
    }
}

TEST(Tempo, FollowsAReceiverWhoseLimitChanges) {
    Receiver receiver;
    Sender sender(receiver);
    sender.run(60s);
    receiver.rate = 10;
    receiver.depth = 2;
    sender.run(30s);
    auto counts = sender.run(120s);
    EXPECT_GE(counts.taken, 0.9 * 1200);
    EXPECT_LT(counts.refused, 0.05 * counts.taken);
    receiver.rate = 200;
    receiver.connections = 20;
    sender.run(300s);
    counts = sender.run(60s);
    EXPECT_GE(counts.taken, 0.8 * 60 * 200);
    EXPECT_GT(sender.open, 5u);
}

TEST(Tempo, LeavesAReceiverAloneThatTakesNothingForAWhile) {
    Receiver receiver;
    Sender sender(receiver);
    sender.run(60s);
    receiver.rate = 0;
    const auto counts = sender.run(600s);
    EXPECT_LT(counts.refused, 40) << "a try a minute at last";
    receiver.rate = 50;
    sender.run(120s);
    EXPECT_GE(sender.run(60s).taken, 0.9 * 60 * 50)
        << "and it is as before once it takes mail again";
}

TEST(Tempo, TakesWhatManyMessagesHearAtOnceForOneComplaint) {
    Tempo tempo;
    const Instant now{1h};
    for (int i = 0; i < 100; ++i) tempo.taken(now + i * 10ms);
    EXPECT_TRUE(tempo.refused(now + 900ms, now + 1s));
    const double rate = tempo.rate();
    EXPECT_FALSE(tempo.refused(now + 990ms, now + 1010ms));
    EXPECT_EQ(tempo.rate(), rate);
}

// A complaint about the very first mail says nothing of what comes later.
TEST(Tempo, SearchesUpwardsWhenItHasLearnedFromNothing) {
    Receiver receiver;
    receiver.tokens = 0;
    receiver.filled = Instant{1h};
    Sender sender(receiver);
    const auto counts = sender.run(10s);
    EXPECT_GT(counts.taken, 200);
    EXPECT_LT(counts.refused, 20);
}

TEST(Tempo, IsUnlimitedWithoutComplaints) {
    Tempo tempo;
    for (int i = 0; i < 1000; ++i) tempo.taken(Instant{1h} + i * 1ms);
    EXPECT_EQ(tempo.rate(), Tempo::unlimited);
    EXPECT_EQ(tempo.connections(Instant{2h}), SIZE_MAX);
    EXPECT_EQ(tempo.learned(), Tempo::Learned{});
}

TEST(Tempo, GoesOnWhereItWasBeforeARestart) {
    Receiver receiver;
    Sender before(receiver);
    before.run(60s);
    Sender after(receiver, Tempo(before.tempo.learned(), before.now));
    after.now = before.now;
    const auto counts = after.run(60s);
    EXPECT_GE(counts.taken, 0.93 * 60 * 50);
    EXPECT_LT(counts.refused, 0.03 * counts.taken);
    EXPECT_LE(counts.connections_refused, 4);
}

TEST(Tempo, ForgetsALimitThatNobodyHasSpokenOfForHours) {
    Tempo tempo;
    const Instant now{1h};
    tempo.taken(now);
    EXPECT_TRUE(tempo.refused(now, now + 1s));
    tempo.taken(now + Tempo::forget_after + 2s);
    EXPECT_EQ(tempo.rate(), Tempo::unlimited);
}

// One that we have just closed may still count over there when its successor comes.
TEST(Tempo, OneRefusalBesideFewerConnectionsThanUsualIsNoLimitYet) {
    Tempo tempo;
    const Instant now{1h};
    EXPECT_TRUE(tempo.connection_refused(5, now));
    EXPECT_FALSE(tempo.connection_refused(4, now + 1s));
    EXPECT_EQ(tempo.connections(now + 1s), 5u);
    EXPECT_TRUE(tempo.connection_refused(4, now + 2s));
    EXPECT_EQ(tempo.connections(now + 2s), 4u);
    EXPECT_EQ(tempo.connections(now + 10min), 5u) << "tried again";
}

}  // namespace
}  // namespace engine
