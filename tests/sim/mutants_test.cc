// Bugs that are planted on purpose (mutate.py), and how many seeds it may take to find each.
#include <gtest/gtest.h>

#include "tests/sim/mutation.h"
#include "tests/sim/seeds.h"

namespace sim {
namespace {

struct Planted {
    const char* name;
    uint64_t seeds_max;
    Weather weather = Weather::rough;
};

class Mutant : public ::testing::TestWithParam<Planted> {};

TEST_P(Mutant, IsFoundWithinItsSeeds) {
    set_mutation(GetParam().name);
    const SeedsReport report =
        run_seeds({.first = 1, .count = GetParam().seeds_max, .weather = GetParam().weather});
    set_mutation({});
    ASSERT_FALSE(report.failed.empty())
        << GetParam().name << " was not found in " << report.seeds << " seeds";
    const std::string& text = report.failed.front().report;
    const size_t end = text.find("\nseed ");
    const size_t begin = end == std::string::npos ? 0 : text.rfind('\n', end - 1) + 1;
    fmt::print("{}: seed {}: {}\n", GetParam().name, report.failed.front().seed,
               text.substr(begin, end == std::string::npos ? end : end - begin));
}

INSTANTIATE_TEST_SUITE_P(
    Planted, Mutant,
    ::testing::Values(
        Planted{"acknowledges before the sync", 100}, Planted{"answers without a commit", 20},
        Planted{"commits half a group", 20, Weather::moody}, Planted{"drops an event", 20},
        Planted{"forgets the row of a deferral", 20},
        Planted{"leaves the row of what has ended", 20}, Planted{"ignores the expiry", 20},
        Planted{"one connection too many", 20}, Planted{"forgets a loan", 20},
        Planted{"forgets what is left on disk", 100}, Planted{"doubles a retry", 20},
        Planted{"sends before it is due", 20}, Planted{"takes 4yz for a success", 20},
        Planted{"loses the due time of a deferral", 20},
        Planted{"gives one recipient another's answer", 20},
        Planted{"follows a clock that is set at once", 100},
        Planted{"sends in the clear what demands TLS", 100},
        Planted{"forgets a connection that it closes", 20},
        Planted{"sends on what is suspended", 400}, Planted{"lets a suspended source go on", 2000},
        Planted{"sends on what is cancelled", 100}, Planted{"forgets orders when it ends", 1500},
        Planted{"leads nobody away", 800}, Planted{"two mails in place of one", 100},
        Planted{"opens connections too fast", 2000},
        Planted{"one mail too many on a connection", 20}, Planted{"one recipient too many", 20},
        // Of totals, lists and reloads.
        Planted{"keeps a unit that it gives back", 20, Weather::restless},
        Planted{"gives out a moment twice", 200, Weather::restless},
        Planted{"gives out more than the quota", 40, Weather::restless},
        Planted{"forgets quotas when it ends", 100, Weather::restless},
        Planted{"asks no list before it sends", 60, Weather::restless},
        Planted{"asks no list at ingest", 60, Weather::restless},
        Planted{"a bounce enters nobody", 20, Weather::restless},
        Planted{"a retired site goes on", 50, Weather::restless},
        Planted{"keeps the limits of before", 80, Weather::restless},
        // Of sites that are spread over shards.
        Planted{"helps without a share", 120, Weather::restless},
        Planted{"forgets what stood when it was spread", 120, Weather::restless},
        Planted{"sends what a reload took away", 2000, Weather::restless}));

}  // namespace
}  // namespace sim
