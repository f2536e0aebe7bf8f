#include "engine/delivery/ids.h"

#include <gtest/gtest.h>

namespace engine {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using storage::JobId;
using storage::WallTime;

const WallTime sunday_noon{std::chrono::sys_days{std::chrono::year{2026} / 11 / 22} + hours(12)};

TEST(JobIds, RiseAndTellTheirTime) {
    IdMaker ids(3, JobId{0});
    const JobId first = ids.next(sunday_noon);
    const JobId second = ids.next(sunday_noon);
    const JobId third = ids.next(sunday_noon + milliseconds(1));
    EXPECT_LT(first, second);
    EXPECT_LT(second, third);
    EXPECT_EQ(storage::parts_of(first).time, sunday_noon);
}

TEST(JobIds, DifferBetweenShards) {
    IdMaker one(0, JobId{0}), other(1, JobId{0});
    EXPECT_NE(one.next(sunday_noon), other.next(sunday_noon));
}

TEST(JobIds, StayAboveTheFloorWhenTheClockJumpsBack) {
    IdMaker before_restart(1, JobId{0});
    const JobId floor = before_restart.next(sunday_noon);
    IdMaker after_restart(0, floor);
    EXPECT_GT(after_restart.next(sunday_noon - hours(24)), floor);
}

TEST(JobIds, OverflowOfTheCounterMovesToTheNextMillisecond) {
    IdMaker ids(0, JobId{0});
    JobId last = ids.next(sunday_noon);
    for (int i = 0; i < 200'000; ++i) {
        const JobId next = ids.next(sunday_noon);
        ASSERT_GT(next, last);
        last = next;
    }
}

}  // namespace
}  // namespace engine
