// GET /v1/trace: who may see what, and how it ends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "ingest/line_splitter.h"
#include "tests/ingest/support/test_shard.h"

namespace ingest::test {
namespace {

using engine::TraceLine;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

TraceLine said(TestShard& shard, TraceLine::Who who, std::string text) {
    static const auto connection = std::make_shared<const engine::TracedConnection>(
        engine::TracedConnection{.id = "1-7", .site = "x.test", .mx = "mx.x.test", .ip = "::1"});
    return {shard.reactor.wall(), connection, who, std::move(text)};
}

TEST(TraceApi, StreamsALineForEachThatWasSaid) {
    TestShard shard;
    shard.node.traced.lines = {said(shard, TraceLine::Who::we, "QUIT"),
                               said(shard, TraceLine::Who::host, "221 \x1b[31m\xff")};
    shard.node.traced.left_out = 3;
    const Reply reply = shard.request(
        "GET", "/v1/trace?domain=X.Test&tenant=t&host=MX.x.test&source=s&content=true&count=2");
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.fields.at("content-type"), "application/x-ndjson");
    const auto lines = lines_of(reply.body);
    ASSERT_EQ(lines.size(), 3U);
    const json first = json::parse(lines[0]);
    EXPECT_EQ(first["who"], "we");
    EXPECT_EQ(first["text"], "QUIT");
    EXPECT_EQ(first["connection"], "1-7");
    EXPECT_FALSE(first.contains("provider"));
    EXPECT_EQ(json::parse(lines[1])["text"], "221 \x1b[31m\xef\xbf\xbd");
    EXPECT_EQ(json::parse(lines[2])["left_out"], 3);
    const engine::TraceFilter& asked = shard.node.asked_trace;
    EXPECT_EQ(asked.domain, "x.test");
    EXPECT_EQ(asked.host, "mx.x.test");
    EXPECT_EQ(asked.tenant, "t");
    EXPECT_EQ(asked.source, "s");
    EXPECT_TRUE(asked.content);
}

TEST(TraceApi, LooksAgainUntilTheDaemonStops) {
    TestShard shard;
    const auto wire = shard.connect();
    wire->to_server = http("GET", "/v1/trace");
    if (wire->reader) shard.reactor.post(std::exchange(wire->reader, {}));
    shard.reactor.settle();
    shard.node.traced.lines = {said(shard, TraceLine::Who::note, "connecting")};
    shard.reactor.advance(250ms);
    EXPECT_THAT(wire->from_server, HasSubstr("connecting"));
    const uint64_t viewer = shard.node.trace_viewer;
    shard.reactor.advance(3s);
    EXPECT_EQ(shard.node.trace_viewer, viewer);
    EXPECT_THAT(wire->from_server, HasSubstr("\r\n1\r\n\n\r\n")) << "a sign of life";
    shard.draining = true;
    shard.reactor.advance(1s);
    EXPECT_TRUE(wire->from_server.ends_with("\r\n0\r\n\r\n")) << wire->from_server;
    EXPECT_TRUE(shard.node.trace_left);
}

TEST(TraceApi, SaysSoWhenTooManyLook) {
    TestShard shard;
    shard.node.traced.seated = false;
    const Reply reply = shard.request("GET", "/v1/trace");
    EXPECT_EQ(reply.status, 429);
    EXPECT_EQ(reply.fields.at("retry-after"), "5");
    EXPECT_THAT(reply.body, HasSubstr("trace.viewers_max"));
}

TEST(TraceApi, AMisspeltFilterIsRefused) {
    TestShard shard;
    EXPECT_EQ(shard.request("GET", "/v1/trace?domian=x.test").status, 422);
}

TEST(LineSplitter, GivesWholeLinesHoweverTheyAreCut) {
    std::vector<std::string> lines;
    LineSplitter splitter([&](std::string_view line) { lines.emplace_back(line); });
    for (const char* piece : {"on", "e\ntw", "o\n\nthree", "\nrest"}) splitter.take(piece);
    EXPECT_THAT(lines, ElementsAre("one", "two", "", "three"));
}

}  // namespace
}  // namespace ingest::test
