// When a policy is fetched, and what is kept of it (RFC 8461 3.3, 5.1).
#include "engine/policy/sts_kept.h"

#include <gmock/gmock.h>

#include <random>

namespace engine {

namespace {

using namespace std::chrono_literals;
using Id = std::optional<std::string>;

constexpr storage::WallTime noon{std::chrono::milliseconds(1'795'000'000'000)};

StsKept kept_for(std::chrono::seconds max_age) {
    return {.id = "1",
            .policy = {.mode = StsPolicy::Mode::enforce, .mx = {"*.x.test"}, .max_age = max_age},
            .fetched = noon};
}

}  // namespace

TEST(StsKept, IsFetchedForAnIdThatIsNew) {
    const StsKept kept = kept_for(604'800s);
    EXPECT_TRUE(wants_fetch(Id("1"), nullptr, nullptr, noon));
    EXPECT_TRUE(wants_fetch(Id("2"), &kept, nullptr, noon + 1s));
    EXPECT_FALSE(wants_fetch(Id("1"), &kept, nullptr, noon + 1h));
}

TEST(StsKept, IsFetchedAgainEarly) {
    const StsKept week = kept_for(604'800s), hour = kept_for(3'600s);
    EXPECT_FALSE(wants_fetch(Id("1"), &week, nullptr, noon + 23h));
    EXPECT_TRUE(wants_fetch(Id("1"), &week, nullptr, noon + 24h));
    EXPECT_FALSE(wants_fetch(Id("1"), &hour, nullptr, noon + 29min));
    EXPECT_TRUE(wants_fetch(Id("1"), &hour, nullptr, noon + 30min));
    EXPECT_TRUE(wants_fetch(Id("1"), &hour, nullptr, noon + 2h)) << "its life is over";
}

TEST(StsKept, IsNotFetchedWithoutARecordAndLivesOn) {
    const StsKept kept = kept_for(604'800s);
    EXPECT_FALSE(wants_fetch(std::nullopt, &kept, nullptr, noon + 48h));
    EXPECT_TRUE(kept.live(noon + 48h));
    EXPECT_FALSE(kept.live(noon + 604'800s));
}

TEST(StsKept, IsNotAskedForAgainSoonAfterAMissUnlessTheIdIsNew) {
    const StsMiss miss{.id = "1", .until = noon + 5min};
    EXPECT_FALSE(wants_fetch(Id("1"), nullptr, &miss, noon + 4min));
    EXPECT_TRUE(wants_fetch(Id("1"), nullptr, &miss, noon + 5min));
    EXPECT_TRUE(wants_fetch(Id("2"), nullptr, &miss, noon + 1s));
}

TEST(StsKept, IsReadBackAsItWasKept) {
    for (const auto age : {0s, 604'800s}) {
        const StsKept kept = kept_for(age);
        EXPECT_EQ(decode_sts(encode(kept)), kept);
    }
}

TEST(StsKept, ReadingSurvivesEveryOctet) {
    const std::string whole = encode(kept_for(60s));
    for (size_t size = 0; size < whole.size(); ++size)
        EXPECT_FALSE(decode_sts(whole.substr(0, size))) << size;
    std::mt19937_64 random(20261122);
    for (int round = 0; round < 10'000; ++round) {
        std::string bytes = whole;
        bytes[random() % bytes.size()] = static_cast<char>(random());
        decode_sts(bytes);
    }
}

}  // namespace engine
