// Seeds of the simulation, in CI. What a seed does, and how to see one again: tests/sim/README.md.
#include <gtest/gtest.h>

#include <random>

#include "tests/sim/seeds.h"

namespace sim {
namespace {

// Under the sanitizers a seed takes six times as long.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
constexpr uint64_t seeds_of_each = 20, power_cut_stride = 600;
#endif
#endif
#ifndef __SANITIZE_ADDRESS__
#if !__has_feature(address_sanitizer)
constexpr uint64_t seeds_of_each = 200, power_cut_stride = 30;
#endif
#endif

void expect_good(const SeedsOptions& options) {
    const SeedsReport report = run_seeds(options);
    for (const FailedSeed& failed : report.failed) ADD_FAILURE() << failed.report;
    fmt::print("{}\n", report.summary());
}

TEST(Simulation, GivesOneRunForOneSeed) {
    const SeedsOptions some{.first = 1, .count = 10};
    const SeedsReport once = run_seeds(some), again = run_seeds(some);
    EXPECT_EQ(once.trace_hashes, again.trace_hashes);
    EXPECT_EQ(once.steps, again.steps);
}

TEST(Simulation, HoldsItsInvariantsOnFixedSeeds) {
    expect_good({.first = 1, .count = seeds_of_each});
}

TEST(Simulation, HoldsItsInvariantsOnFreshSeeds) {
    std::random_device entropy;
    const uint64_t first = (uint64_t{entropy()} << 16) + 1;
    fmt::print("fresh seeds from {} on\n", first);
    expect_good({.first = first, .count = seeds_of_each});
}

TEST(Simulation, DeliversEverythingInTimeWhereNothingGoesWrong) {
    expect_good({.first = 1, .count = seeds_of_each / 4, .weather = Weather::calm});
}

// Each time others of them; `sluice-sim --power-cuts 1` cuts at each.
TEST(Simulation, LosesNothingByAPowerCutAtASync) {
    std::random_device entropy;
    const uint64_t first = 1 + entropy() % power_cut_stride;
    const SeedsReport report = run_power_cuts(1, first, power_cut_stride, 1);
    for (const FailedSeed& failed : report.failed) ADD_FAILURE() << failed.report;
    EXPECT_GT(report.seeds, 0U);
    fmt::print("{}\n", report.summary());
}

}  // namespace
}  // namespace sim
