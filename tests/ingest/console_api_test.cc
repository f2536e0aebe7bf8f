#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ingest/gzip.h"
#include "tests/ingest/support/test_shard.h"

namespace ingest::test {
namespace {

using testing::HasSubstr;

TEST(Console, IsServedWithAStrictPolicyPackedAndByItsTag) {
    TestShard shard;
    const auto files = console_files();
    shard.context->console = &files;
    const Reply page = shard.request("GET", "/console");
    EXPECT_EQ(page.status, 200);
    EXPECT_THAT(page.body, HasSubstr("/console/console.js"));
    EXPECT_EQ(shard.request("GET", "/").body, page.body);
    const std::string policy = page.fields.at("content-security-policy");
    EXPECT_THAT(policy, HasSubstr("default-src 'none'"));
    EXPECT_THAT(policy, testing::Not(HasSubstr("unsafe")));
    const Reply packed =
        shard.request("GET", "/console/console.js", {}, {}, "Accept-Encoding: br, gzip\r\n");
    EXPECT_EQ(packed.fields.at("content-encoding"), "gzip");
    EXPECT_EQ(packed.body, *gzipped(files[1].text));
    const std::string tag = packed.fields.at("etag");
    const Reply same = shard.request("GET", "/console/console.js", {}, {},
                                     "Accept-Encoding: gzip\r\nIf-None-Match: " + tag + "\r\n");
    EXPECT_EQ(same.status, 304);
    EXPECT_EQ(same.body, "");
    EXPECT_EQ(shard.request("GET", "/console/other.js").status, 404);
}

}  // namespace
}  // namespace ingest::test
