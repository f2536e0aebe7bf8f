#include "ingest/did_you_mean.h"

#include <gtest/gtest.h>

#include <array>

namespace ingest {
namespace {

constexpr std::array<std::string_view, 6> words = {"serve",  "submit", "status",
                                                   "events", "check",  "send"};

TEST(DidYouMean, FindsWordsThatDifferByATypo) {
    EXPECT_EQ(did_you_mean("sevre", words), "serve");
    EXPECT_EQ(did_you_mean("stats", words), "status");
    EXPECT_EQ(did_you_mean("evnets", words), "events");
    EXPECT_EQ(did_you_mean("chek", words), "check");
    EXPECT_EQ(did_you_mean("sen", words), "send");
}

TEST(DidYouMean, FindsWordsByTheirBeginning) {
    constexpr std::array<std::string_view, 2> keys = {"messages_per_connection", "rate"};
    EXPECT_EQ(did_you_mean("messages", keys), "messages_per_connection");
}

TEST(DidYouMean, StaysSilentWhenNothingIsNear) {
    EXPECT_EQ(did_you_mean("xyzzy", words), "");
    EXPECT_EQ(did_you_mean("", words), "");
    EXPECT_EQ(did_you_mean(std::string(100'000, 's'), words), "");
}

}  // namespace
}  // namespace ingest
