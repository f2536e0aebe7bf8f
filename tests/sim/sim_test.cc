// Seeds of the simulation, in CI. What a seed does, and how to see one again: tests/sim/README.md.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>

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

/// Each commit tries seeds of its own, and tries them again each time: what fails once can be
/// looked at. Uncommitted changes try those of the commit they are made to.
uint32_t number_of_this_commit() {
    std::string hash(8, '\0');
    if (FILE* const git = ::popen("git rev-parse HEAD 2>/dev/null", "r")) {
        hash.resize(std::fread(hash.data(), 1, hash.size(), git));
        char rest[64];
        while (std::fread(rest, 1, sizeof rest, git) > 0) {
        }
        ::pclose(git);
    }
    char* end = nullptr;
    const auto number = static_cast<uint32_t>(std::strtoul(hash.c_str(), &end, 16));
    if (hash.size() == 8 && *end == '\0') return number;
    return std::random_device{}();  // a copy of the sources that git knows nothing of
}

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
    const uint64_t first = (uint64_t{number_of_this_commit()} << 16) + 1;
    fmt::print("fresh seeds from {} on\n", first);
    expect_good({.first = first, .count = seeds_of_each});
}

TEST(Simulation, DeliversEverythingInTimeWhereNothingGoesWrong) {
    expect_good({.first = 1, .count = seeds_of_each / 4, .weather = Weather::calm});
}

TEST(Simulation, HoldsLimitsAndListsWhileOperatorsChangeThem) {
    const uint64_t first = (uint64_t{number_of_this_commit()} << 16) + 1;
    expect_good({.first = first, .count = seeds_of_each / 3, .weather = Weather::restless});
}

// Each commit tries others of them; `sluice-sim --power-cuts 1` cuts at each.
TEST(Simulation, LosesNothingByAPowerCutAtASync) {
    const uint64_t first = 1 + number_of_this_commit() % power_cut_stride;
    const SeedsReport report = run_power_cuts(1, first, power_cut_stride, 1);
    for (const FailedSeed& failed : report.failed) ADD_FAILURE() << failed.report;
    EXPECT_GT(report.seeds, 0U);
    fmt::print("{}\n", report.summary());
}

}  // namespace
}  // namespace sim
