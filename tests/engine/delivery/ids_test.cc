#include "engine/delivery/ids.h"

#include <gtest/gtest.h>

#include "engine/delivery/intake.h"

namespace engine {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using storage::JobId;
using storage::WallTime;

const WallTime noon{std::chrono::sys_days{std::chrono::year{2026} / 11 / 22} + hours(12)};

TEST(JobIds, RiseAndTellTheirTime) {
    IdMaker ids(3, JobId{0});
    const JobId first = ids.next(noon);
    const JobId second = ids.next(noon);
    const JobId third = ids.next(noon + milliseconds(1));
    EXPECT_LT(first, second);
    EXPECT_LT(second, third);
    EXPECT_EQ(time_of(first), noon);
}

TEST(JobIds, DifferBetweenShards) {
    IdMaker one(0, JobId{0}), other(1, JobId{0});
    EXPECT_NE(one.next(noon), other.next(noon));
}

TEST(JobIds, StayAboveTheFloorWhenTheClockJumpsBack) {
    IdMaker before_restart(1, JobId{0});
    const JobId floor = before_restart.next(noon);
    IdMaker after_restart(0, floor);
    EXPECT_GT(after_restart.next(noon - hours(24)), floor);
}

TEST(JobIds, OverflowOfTheCounterMovesToTheNextMillisecond) {
    IdMaker ids(0, JobId{0});
    JobId last = ids.next(noon);
    for (int i = 0; i < 200'000; ++i) {
        const JobId next = ids.next(noon);
        ASSERT_GT(next, last);
        last = next;
    }
}

TEST(JobIds, SurviveTheirTextForm) {
    const storage::DeliveryId id{JobId{0xfedcba9876543210}, 4294967295};
    EXPECT_EQ(to_text(id.job).size(), 13u);
    EXPECT_EQ(parse_job_id(to_text(id.job)), id.job);
    EXPECT_EQ(parse_delivery_id(to_text(id)), id);
}

TEST(JobIds, RefuseWhatIsNoId) {
    for (const char* text :
         {"", "0", "00000000000000", "0000000000-1", "U000000000000", "Z000000000000"})
        EXPECT_FALSE(parse_job_id(text)) << text;
    for (const char* text :
         {"0000000000001", "0000000000001-", "0000000000001-x", "0000000000001-4294967296", "-1"})
        EXPECT_FALSE(parse_delivery_id(text)) << text;
}

}  // namespace
}  // namespace engine
