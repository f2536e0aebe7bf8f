#include "engine/net/tls.h"

#include <gtest/gtest.h>

namespace engine {
namespace {

TEST(TlsDemand, PatternsOfMtaStsCoverOneLabelAndNoMore) {
    EXPECT_TRUE(covers_host("mx.x.test", "mx.x.test"));
    EXPECT_TRUE(covers_host("*.x.test", "mx.x.test"));
    EXPECT_FALSE(covers_host("*.x.test", "x.test"));
    EXPECT_FALSE(covers_host("*.x.test", "a.mx.x.test"));
    EXPECT_FALSE(covers_host("*.x.test", ".x.test"));
    EXPECT_FALSE(covers_host("*.x.test", "mx.y.test"));
    EXPECT_FALSE(covers_host("mx.*.test", "mx.x.test"));
    EXPECT_FALSE(covers_host("*", "mx.x.test"));
}

TEST(TlsDemand, WithoutHostsLetsMailGoAnywhere) {
    EXPECT_TRUE(may_go_to({}, "mx.x.test"));
    EXPECT_TRUE(may_go_to({.hosts = {"a.test", "*.x.test"}}, "mx.x.test"));
    EXPECT_FALSE(may_go_to({.hosts = {"a.test", "*.x.test"}}, "mx.y.test"));
}

TEST(TlsResult, IsShortInEvents) {
    EXPECT_EQ(to_string(TlsResult{}), "");
    EXPECT_EQ(to_string(TlsResult{TlsLevel::verified, "TLSv1.3", "TLS_AES_256_GCM_SHA384"}),
              "TLSv1.3 TLS_AES_256_GCM_SHA384 verified");
    EXPECT_EQ(to_string(TlsResult{TlsLevel::dane, "TLSv1.2", "X", true}), "TLSv1.2 X dane resumed");
}

}  // namespace
}  // namespace engine
