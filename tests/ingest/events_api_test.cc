#include "ingest/events_api.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "ingest/event_json.h"
#include "tests/ingest/support/test_shard.h"
#include "storage/ids.h"

namespace ingest::test {
namespace {

using nlohmann::json;
using Type = storage::Event::Type;

/// One recipient accepted, and maybe its end.
void add_event(TestShard& shard, Type type, uint32_t index, std::string campaign = "c",
               std::string to = "a@x.test") {
    storage::Batch batch;
    if (index == 0 && type == Type::accepted)
        batch.jobs.push_back({.id = storage::JobId{5}, .tenant = "t", .content = "x"});
    storage::Event event{
        .type = type, .time = shard.reactor.wall(), .delivery = {storage::JobId{5}, index}};
    event.tenant = "t";
    event.campaign = std::move(campaign);
    event.to = std::move(to);
    batch.events.push_back(std::move(event));
    const auto committed = shard.store->commit(std::span(&batch, 1), 0, 1);
    ASSERT_TRUE(committed);
    shard.feed.advance(committed->events_upto);
}
std::vector<json> events_in(const Reply& reply) {
    std::vector<json> out;
    for (const auto& line : lines_of(reply.body)) out.push_back(json::parse(line));
    return out;
}

TEST(Events, ComeInOrderAndResumeAfterAny) {
    TestShard shard;
    for (uint32_t i = 0; i < 5; ++i) add_event(shard, Type::accepted, i);
    const auto all = events_in(shard.request("GET", "/v1/events"));
    ASSERT_EQ(all.size(), 5u);
    const auto two = shard.request("GET", "/v1/events?limit=2");
    EXPECT_EQ(events_in(two).size(), 2u);
    const auto rest =
        events_in(shard.request("GET", "/v1/events?after=" + two.fields.at("sluice-cursor")));
    ASSERT_EQ(rest.size(), 3u);
    EXPECT_EQ(rest[0], all[2]);
    EXPECT_EQ(shard.request("GET", "/v1/events?after=" + all[4]["seq"].dump()).body, "");
}

TEST(Events, AreFilteredByTypeCampaignAndRecipient) {
    TestShard shard;
    add_event(shard, Type::accepted, 0);
    add_event(shard, Type::accepted, 1, "d", "b@x.test");
    add_event(shard, Type::delivered, 0);
    EXPECT_EQ(events_in(shard.request("GET", "/v1/events?type=delivered,bounced")).size(), 1u);
    EXPECT_EQ(events_in(shard.request("GET", "/v1/events?campaign=c")).size(), 2u);
    EXPECT_EQ(events_in(shard.request("GET", "/v1/events?to=b@x.test")).size(), 1u);
    const auto none = shard.request("GET", "/v1/events?to=nobody@x.test");
    EXPECT_EQ(none.body, "");
    EXPECT_EQ(none.fields.at("sluice-cursor"), std::to_string(shard.store->last_event()));
}

TEST(Events, AreWaitedForUntilOneComes) {
    TestShard shard;
    const auto wire = shard.connect();
    wire->to_server = http("GET", "/v1/events?wait=30s&type=delivered");
    EXPECT_TRUE(shard.replies(*wire).empty());
    add_event(shard, Type::accepted, 0);
    EXPECT_TRUE(shard.replies(*wire).empty());
    shard.reactor.advance(10s);
    add_event(shard, Type::delivered, 0);
    const auto replies = shard.replies(*wire);
    ASSERT_EQ(replies.size(), 1u);
    EXPECT_EQ(events_in(replies[0]).at(0)["type"], "delivered");
}

TEST(Events, AreWaitedForNoLongerThanAsked) {
    TestShard shard;
    const auto wire = shard.connect();
    wire->to_server = http("GET", "/v1/events?wait=30s");
    shard.replies(*wire);
    shard.reactor.advance(29s);
    EXPECT_EQ(wire->from_server, "");
    shard.reactor.advance(1s);
    EXPECT_EQ(shard.replies(*wire).at(0).body, "");
    wire->to_server = http("GET", "/v1/events?wait=30s");
    shard.replies(*wire);
    shard.draining = true;
    shard.reactor.advance(2s);
    EXPECT_EQ(shard.replies(*wire).at(0).status, 200);
}

TEST(Events, RefuseWrongParameters) {
    TestShard shard;
    const auto reply =
        shard.request("GET", "/v1/events?after=x&limit=99999&wait=1&type=sent&form=a");
    EXPECT_EQ(reply.status, 422);
    EXPECT_EQ(json::parse(reply.body)["errors"].size(), 5u);
}

TEST(EventJson, LeavesEmptyFieldsOutAndEscapesWhatReceiversSay) {
    storage::Event event{.seq = 9, .type = Type::bounced, .delivery = {storage::JobId{1}, 2}};
    event.reply = std::string("550 \"no\"\r\n\x01\xff é", 15);
    event.meta = R"({"uid":7})";
    event.code = 550;
    std::string out;
    append_event(out, event);
    const auto parsed = json::parse(out);
    EXPECT_EQ(parsed["reply"], "550 \"no\"\r\n\x01\xef\xbf\xbd \xc3\xa9");
    EXPECT_EQ(parsed["meta"]["uid"], 7);
    EXPECT_FALSE(parsed.contains("mx"));
    EXPECT_FALSE(parsed.contains("next_attempt"));
    EXPECT_EQ(parsed["time"], "1970-01-01T00:00:00.000Z");
    EXPECT_EQ(parsed["job"].get<std::string>().size(), 13u);
}

TEST(Status, TellsCountsOfTheNodeAndOfAJob) {
    TestShard shard;
    add_event(shard, Type::accepted, 0);
    add_event(shard, Type::accepted, 1);
    shard.reactor.advance(10s);
    add_event(shard, Type::delivered, 0);
    const auto status = json::parse(shard.request("GET", "/v1/status").body);
    EXPECT_EQ(status["accepted"], 2);
    EXPECT_EQ(status["open"], 1);
    EXPECT_EQ(status["tenants"]["t"]["delivered"], 1);
    EXPECT_EQ(status["delivery"]["scheduled"], 3);
    const std::string id = storage::to_text(storage::JobId{5});
    const auto job = json::parse(shard.request("GET", "/v1/jobs/" + id).body);
    EXPECT_EQ(job["delivered"], 1);
    EXPECT_EQ(job["open"], 1);
    EXPECT_TRUE(job.contains("estimated_finish"));
    const auto story = json::parse(shard.request("GET", "/v1/deliveries/" + id + "-0").body);
    EXPECT_EQ(story["state"], "delivered");
    EXPECT_EQ(story["events"].size(), 2u);
}

TEST(Status, KnowsWhatItDoesNotKnow) {
    TestShard shard;
    EXPECT_EQ(shard.request("GET", "/v1/jobs/x").status, 422);
    EXPECT_EQ(shard.request("GET", "/v1/jobs/0000000000009").status, 404);
    EXPECT_EQ(shard.request("GET", "/v1/deliveries/0000000000009-1").status, 404);
    EXPECT_EQ(shard.request("GET", "/v1/jobs/").status, 404);
    EXPECT_EQ(shard.request("POST", "/v1/status").status, 405);
}

TEST(Status, IsReadyUntilSomethingRefusesMail) {
    TestShard shard;
    EXPECT_EQ(shard.request("GET", "/readyz").status, 200);
    shard.intake.refuses =
        engine::Refusal{engine::Refusal::Why::queue_full, "queue.bytes_max", "full", 30s};
    EXPECT_EQ(shard.request("GET", "/readyz").status, 503);
    EXPECT_EQ(shard.request("GET", "/healthz").status, 200);
    shard.intake.refuses.reset();
    shard.draining = true;
    EXPECT_EQ(shard.request("GET", "/readyz").status, 503);
}

}  // namespace
}  // namespace ingest::test
