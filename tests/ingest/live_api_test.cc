// GET /v1/live: rates and percentiles from two readings, who may look, and what it costs when
// nobody does.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "ingest/digest.h"
#include "ingest/live_desk.h"
#include "metrics/catalog.h"
#include "tests/ingest/support/test_shard.h"

namespace ingest::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;
namespace catalog = metrics::catalog;

/// A shard whose live stream works.
struct LiveShard {
    LiveShard() {
        desk.watch({&shard.registry}, {shard.post_0, shard.post_0, history});
        shard.context->live = &desk;
    }
    ~LiveShard() {
        shard.draining = true;
        for (const auto& wire : wires) wire->client_closed = true;
        shard.reactor.advance(3s);
        engine::Scope ending;
        ending.spawn(desk.stop());
        shard.reactor.settle();
    }
    std::shared_ptr<Wire> look(std::string_view query = {}, std::string_view fields = {}) {
        const auto wire = shard.connect();
        wire->to_server = http("GET", "/v1/live" + std::string(query), {}, {}, fields);
        if (wire->reader) shard.reactor.post(wire->reader);
        shard.reactor.settle();
        wires.push_back(wire);
        return wire;
    }
    static std::vector<json> snapshots(const Wire& wire) {
        std::vector<json> out;
        for (size_t at = 0; (at = wire.from_server.find("\ndata: ", at)) != std::string::npos;) {
            at += 7;
            out.push_back(
                json::parse(wire.from_server.substr(at, wire.from_server.find('\n', at) - at)));
        }
        return out;
    }

    TestShard shard;
    LiveHistory history;
    LiveDesk desk{shard.reactor, shard.worker, *shard.store};
    std::vector<std::shared_ptr<Wire>> wires;
};

TEST(Live, TellsWhatCameInTheLastSecond) {
    LiveShard live;
    auto& delivered =
        live.shard.registry.counter(catalog::messages_completed, {"google", "delivered"});
    auto& bounces = live.shard.registry.counter(catalog::bounces, {"google", "full"});
    delivered.add(1000);
    const auto wire = live.look("?count=1");
    delivered.add(50);
    bounces.add(3);
    live.shard.registry.gauge(catalog::sites_spread).set(2);
    live.shard.reactor.advance(1s);
    const auto snapshots = LiveShard::snapshots(*wire);
    ASSERT_EQ(snapshots.size(), 1u) << wire->from_server;
    const json& s = snapshots[0];
    EXPECT_EQ(s["providers"][0]["provider"], "google");
    EXPECT_NEAR(s["providers"][0]["delivered"].get<double>(), 50, 1);
    EXPECT_EQ(s["bounce_classes"][0]["total"], 3);
    EXPECT_EQ(s["sites_spread"], 2);
    EXPECT_EQ(s["state"], "accepting");
}

TEST(Live, CostsNothingWhenNobodyLooks) {
    LiveShard live;
    live.shard.reactor.advance(10s);
    EXPECT_EQ(live.shard.worker.runs, 0u);
    const auto wire = live.look();
    live.shard.reactor.advance(3s);
    EXPECT_GE(live.shard.worker.runs, 3u);
    wire->write_fails = true;  // the looker has gone
    live.shard.reactor.advance(3s);
    const size_t runs = live.shard.worker.runs;
    live.shard.reactor.advance(60s);
    EXPECT_EQ(live.shard.worker.runs, runs);
}

TEST(Live, ReadsOnceHoweverManyLook) {
    LiveShard live;
    for (int i = 0; i < 8; ++i) live.look();
    live.shard.reactor.advance(5s);
    EXPECT_LE(live.shard.worker.runs, 7u);
    for (const auto& wire : live.wires) EXPECT_GE(LiveShard::snapshots(*wire).size(), 4u);
}

TEST(Live, HasSeatsForSoManyAndNoMore) {
    LiveShard live;
    for (size_t i = 0; i < LiveDesk::viewers_max; ++i) live.look();
    const auto one_more = live.look();
    EXPECT_THAT(one_more->from_server, HasSubstr("429"));
    EXPECT_THAT(one_more->from_server, HasSubstr("live.viewers_max"));
}

TEST(Live, ShowsATenantItsOwnCountsAndNothingOfTheNode) {
    LiveShard live;
    live.shard.api_keys = ApiKeys({{.name = "t", .api_key_sha256 = plain_sha256("key")}});
    const auto wire = live.look("?count=1", "Authorization: Bearer key\r\n");
    live.shard.reactor.advance(1s);
    const auto snapshots = LiveShard::snapshots(*wire);
    ASSERT_EQ(snapshots.size(), 1u) << wire->from_server;
    for (const char* name : {"queue", "providers", "connections", "bounce_classes", "shards_busy"})
        EXPECT_FALSE(snapshots[0].contains(name)) << name;
    EXPECT_TRUE(snapshots[0].contains("totals"));
}

TEST(Live, BeginsWithWhatWasBefore) {
    LiveShard live;
    const storage::WallTime begin = live.shard.reactor.wall();
    live.history.add(begin, {.accepted = 10, .delivered = 5});
    live.history.add(begin + 1s, {.accepted = 30, .delivered = 6});
    const auto wire = live.look();
    EXPECT_THAT(wire->from_server, HasSubstr("event: history"));
    EXPECT_THAT(wire->from_server, HasSubstr("\"accepted\":[20]"));
    EXPECT_THAT(wire->from_server, HasSubstr("\"delivered\":[1]"));
}

TEST(LiveHistory, KeepsAQuarterOfAnHourAndSurvivesAClockThatJumpsBack) {
    LiveHistory history;
    const storage::WallTime begin{1'790'000'000'000ms};
    for (uint64_t i = 0; i < 2000; ++i) history.add(begin + 1s * i, {.accepted = i});
    EXPECT_EQ(json::parse(history.json())["times"].size(), LiveHistory::seconds_max);
    history.add(begin + 1990s, {.accepted = 3000});
    const json after = json::parse(history.json());
    EXPECT_EQ(after["times"].back(), 1'790'000'000 + 1990);
    EXPECT_EQ(after["accepted"].back(), 3000 - 1989);
}

TEST(LiveSnapshot, ReadsPercentilesWithinBuckets) {
    constexpr double bounds[] = {1, 2, 4};
    metrics::Histogram::Reading before, after;
    after.counts = {0, 100, 0, 0};
    EXPECT_DOUBLE_EQ(percentile(before, after, bounds, 0.5), 1.5);
    EXPECT_DOUBLE_EQ(percentile(before, after, bounds, 1.0), 2.0);
    after.counts = {0, 0, 0, 7};
    EXPECT_DOUBLE_EQ(percentile(before, after, bounds, 0.5), 4) << "beyond the last bound";
    EXPECT_DOUBLE_EQ(percentile(after, after, bounds, 0.5), 0) << "nothing came";
}

}  // namespace
}  // namespace ingest::test
