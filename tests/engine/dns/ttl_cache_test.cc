#include "engine/dns/ttl_cache.h"
#include <gtest/gtest.h>


namespace engine {

namespace {
constexpr Instant start{std::chrono::hours(1)};
}

TEST(TtlCache, ForgetsWhenTheTimeHasCome) {
    TtlCache<int> cache(10);
    cache.put("a", 1, start + 10s);
    ASSERT_TRUE(cache.find("a", start + 9s));
    EXPECT_EQ(*cache.find("a", start + 9s), 1);
    EXPECT_FALSE(cache.find("a", start + 10s));
    EXPECT_FALSE(cache.find("b", start));
}

TEST(TtlCache, DropsTheOldestAtItsLimit) {
    TtlCache<int> cache(2);
    cache.put("a", 1, start + 10s);
    cache.put("b", 2, start + 10s);
    cache.put("a", 3, start + 10s);  // now the youngest
    cache.put("c", 4, start + 10s);
    EXPECT_EQ(cache.size(), 2u);
    EXPECT_FALSE(cache.find("b", start));
    EXPECT_EQ(*cache.find("a", start), 3);
    EXPECT_EQ(*cache.find("c", start), 4);
}

TEST(TtlCache, StaysWithinItsLimitWhateverComes) {
    TtlCache<int> cache(100);
    for (int i = 0; i < 100'000; ++i) {
        cache.put(std::to_string(i % 3 == 0 ? 7 : i), i, start + 10s);
        ASSERT_LE(cache.size(), 100u);
    }
    EXPECT_GT(cache.size(), 40u);
}

}  // namespace engine
