// What sluice-sink and sluice-load read from their command lines.
#include "bench/arguments.h"

#include <gtest/gtest.h>

namespace bench {
namespace {

TEST(Arguments, ABlockStandsForEachOfItsAddresses) {
    auto block = parse_endpoints("127.60.0.9/30:2525");
    ASSERT_TRUE(block) << block.error();
    ASSERT_EQ(block->size(), 4u);
    EXPECT_EQ(block->front().text, "127.60.0.8:2525");
    EXPECT_EQ(block->back().text, "127.60.0.11:2525");
}

TEST(Arguments, AnAddressMayBeOfEitherFamilyOrAPath) {
    EXPECT_EQ(parse_endpoint("[::1]:25")->family(), AF_INET6);
    EXPECT_EQ(parse_endpoint("127.0.0.1:0")->family(), AF_INET);
    EXPECT_EQ(parse_endpoint("unix:/run/x.sock")->family(), AF_UNIX);
}

TEST(Arguments, ABadAddressIsRefusedWithTheFormsThatAreGood) {
    for (std::string bad : {"", "127.0.0.1", "127.0.0.1:70000", "localhost:25", "127.0.0.0/33:25",
                            "10.0.0.0/8:25", "[::1:25", "[::g]:25", "unix:", "127.0.0.1:25x"}) {
        auto parsed = parse_endpoints(bad);
        ASSERT_FALSE(parsed) << bad;
        EXPECT_GT(parsed.error().size(), bad.size() + 10);
    }
    EXPECT_FALSE(parse_endpoint("127.0.0.0/30:25")) << "one address was wanted";
}

TEST(Arguments, DurationsAndSizesHaveUnits) {
    EXPECT_EQ(parse_duration("250ms"), std::chrono::milliseconds(250));
    EXPECT_EQ(parse_duration("5m"), std::chrono::minutes(5));
    EXPECT_EQ(parse_size("50MiB"), 50u << 20);
    EXPECT_EQ(parse_size("17"), 17u);
    for (std::string bad : {"", "5", "-5s", "5 s", "99999999999999h", "ms"})
        EXPECT_FALSE(parse_duration(bad)) << bad;
    for (std::string bad : {"", "2kb", "-1", "99999999999GiB", "KiB"})
        EXPECT_FALSE(parse_size(bad)) << bad;
}

}  // namespace
}  // namespace bench
