#include "engine/delivery/warmup.h"

#include <gtest/gtest.h>

namespace engine {
namespace {

using namespace std::chrono_literals;
constexpr std::chrono::sys_days first = std::chrono::year{2026} / 11 / 22;

TEST(Warmup, AllowsEachDayItsPartAndThenEverything) {
    const WarmupPlan plan{first, {2, 5}};
    EXPECT_EQ(Warmup::allowed(plan, first - 1s), 0u) << "not before its first day";
    EXPECT_EQ(Warmup::allowed(plan, first + 0s), 2u);
    EXPECT_EQ(Warmup::allowed(plan, first + 47h), 5u);
    EXPECT_EQ(Warmup::allowed(plan, first + 48h), std::nullopt);
}

TEST(Warmup, IsFullUntilTheNextDay) {
    const WarmupPlan plan{first, {2, 5}};
    Warmup warmup;
    const storage::WallTime noon = first + 12h;
    warmup.add(noon);
    EXPECT_EQ(warmup.full_until(plan, noon), std::nullopt);
    warmup.add(noon);
    EXPECT_EQ(warmup.full_until(plan, noon), first + 24h);
    EXPECT_EQ(warmup.full_until(plan, noon + 12h), std::nullopt) << "a new day";
}

TEST(Warmup, CountsOnAfterARestart) {
    const WarmupPlan plan{first, {2}};
    Warmup before;
    before.add(first + 1h);
    Warmup after(before.sent());
    after.add(first + 2h);
    EXPECT_TRUE(after.full_until(plan, first + 2h));
}

}  // namespace
}  // namespace engine
