// The HTTP API once tenants have keys: who may do what.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "ingest/digest.h"
#include "storage/ids.h"
#include "tests/ingest/support/test_shard.h"

namespace ingest::test {
namespace {

using nlohmann::json;

std::string job(std::string_view more = "") {
    return R"({)" + std::string(more) +
           R"("from":"b@s.test","content":{"from":"s@s.test","subject":"s","text":"t"},)"
           R"("recipients":[{"to":"a@x.test"}]})";
}
std::string with_key(std::string_view key) {
    return "Authorization: Bearer " + std::string(key) + "\r\n";
}
std::string code_of(const Reply& reply) {
    return json::parse(reply.body).at("errors").at(0).at("code");
}

struct ApiKeysOverHttp : ::testing::Test {
    TestShard shard;
    ApiKeysOverHttp() {
        shard.api_keys =
            ApiKeys({{"acme", plain_sha256("key-a")}, {"beta", plain_sha256("key-b")}});
    }
};

TEST_F(ApiKeysOverHttp, AreAskedForWithWords) {
    for (const char* header : {"", "Authorization: Basic YTpi\r\n", "Authorization: Bearer\r\n",
                               "Authorization: Bearer key-c\r\n", "Authorization: key-a\r\n",
                               "Authorization: Bearer key-a key-b\r\n"}) {
        const Reply reply = shard.post(job(), "", header);
        EXPECT_EQ(reply.status, 401) << header;
        EXPECT_EQ(reply.fields.at("www-authenticate"), "Bearer");
        EXPECT_NE(reply.body.find("send \\\"Authorization: Bearer \\\""), std::string::npos);
    }
    EXPECT_TRUE(shard.intake.jobs.empty());
    EXPECT_EQ(shard.request("GET", "/v1/events").status, 401);
    EXPECT_EQ(shard.request("GET", "/v1/status").status, 401);
    EXPECT_EQ(shard.request("GET", "/healthz").status, 200);
    EXPECT_EQ(shard.request("GET", "/readyz").status, 200);
    EXPECT_EQ(shard.request("GET", "/v1/nothing").status, 404);
}

TEST_F(ApiKeysOverHttp, MakeAJobTheirTenants) {
    EXPECT_EQ(shard.post(job(), "", with_key("key-b")).status, 202);
    EXPECT_EQ(shard.post(job(R"("tenant":"beta",)"), "", with_key("key-b")).status, 202);
    EXPECT_EQ(shard.post(job(), "", "authorization: bearer key-b\r\n").status, 202);
    for (const auto& [id, kept] : shard.intake.jobs) EXPECT_EQ(kept.job.tenant, "beta");
    EXPECT_EQ(shard.intake.jobs.size(), 3u);
    const Reply other = shard.post(job(R"("tenant":"acme",)"), "", with_key("key-b"));
    EXPECT_EQ(other.status, 403);
    EXPECT_EQ(code_of(other), "tenant.other");
    EXPECT_EQ(shard.intake.jobs.size(), 3u);
}

TEST_F(ApiKeysOverHttp, HoldForEveryJobOfAStream) {
    const Reply reply =
        shard.request("POST", "/v1/messages", job() + "\n" + job(R"("tenant":"acme",)") + "\n",
                      "application/x-ndjson", with_key("key-b"));
    EXPECT_NE(reply.body.find("tenant.other"), std::string::npos) << reply.body;
    ASSERT_EQ(shard.intake.jobs.size(), 1u);
    EXPECT_EQ(shard.intake.jobs.begin()->second.job.tenant, "beta");
}

TEST_F(ApiKeysOverHttp, ShowATenantWhatIsItsOwn) {
    EXPECT_EQ(shard.request("GET", "/v1/status", "", "", with_key("key-a")).status, 403);
    storage::Batch batch;
    const storage::JobId id{77};
    batch.jobs.push_back({.id = id, .tenant = "acme", .pool = "default"});
    batch.events.push_back(
        {.delivery = {id, 0}, .tenant = "acme", .from = "b@s.test", .to = "a@x.test"});
    ASSERT_TRUE(shard.store->commit({&batch, 1}, 0, 1).has_value());
    shard.feed.advance(shard.store->last_event());
    const std::string name = storage::to_text(id);
    const auto get = [&](const std::string& path, const char* key) {
        return shard.request("GET", path, "", "", with_key(key));
    };
    EXPECT_EQ(get("/v1/jobs/" + name, "key-a").status, 200);
    EXPECT_EQ(get("/v1/jobs/" + name, "key-b").status, 404);
    EXPECT_EQ(get("/v1/deliveries/" + name + "-0", "key-a").status, 200);
    EXPECT_EQ(get("/v1/deliveries/" + name + "-0", "key-b").status, 404);
    EXPECT_NE(get("/v1/events", "key-a").body.find("a@x.test"), std::string::npos);
    EXPECT_EQ(get("/v1/events", "key-b").body, "");
}

TEST_F(ApiKeysOverHttp, AreNotAskedForOnTheUnixSocket) {
    const auto wire = shard.connect();
    wire->peer = "unix";
    wire->to_server =
        http("GET", "/v1/status") + http("POST", "/v1/messages", job(R"("tenant":"x",)"));
    const auto replies = shard.replies(*wire);
    ASSERT_EQ(replies.size(), 2u);
    EXPECT_EQ(replies[0].status, 200);
    EXPECT_EQ(replies[1].status, 202);
}

}  // namespace
}  // namespace ingest::test
