#include "engine/delivery/throttle.h"

#include <gtest/gtest.h>

namespace engine {
namespace {

using namespace std::chrono_literals;

TEST(Throttle, HoldsLongerWhileTheSameIsSaidAgainAndNeverBeyondItsMaximum) {
    Throttle throttle;
    Instant now{1h};
    EXPECT_LE(throttle.until(), now);
    for (const auto expected : {1s, 2s, 4s, 8s, 16s, 32s, 60s, 60s}) {
        EXPECT_EQ(throttle.complained(now), expected);
        EXPECT_EQ(throttle.until(), now + expected);
        now = throttle.until();
    }
}

TEST(Throttle, TakesWhatManyConnectionsHearDuringAHoldForOneComplaint) {
    Throttle throttle;
    const Instant now{1h};
    EXPECT_EQ(throttle.complained(now), 1s);
    EXPECT_EQ(throttle.complained(now + 500ms), 0s);
    EXPECT_EQ(throttle.until(), now + 1s);
}

TEST(Throttle, ForgetsWithEachMailThatIsTakenBehindAHold) {
    Throttle throttle;
    Instant now{1h};
    for (int i = 0; i < 4; ++i) {
        throttle.complained(now);
        now = throttle.until();
    }
    throttle.took(now);  // the hold was 8 s
    EXPECT_EQ(throttle.complained(now), 8s);
    throttle.took(now);  // within the hold: from a transaction that was under way
    now = throttle.until();
    for (int i = 0; i < 4; ++i) throttle.took(now);
    EXPECT_EQ(throttle.complained(now), 1s);
}

}  // namespace
}  // namespace engine
