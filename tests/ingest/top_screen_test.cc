#include "ingest/top_screen.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "ingest/live_client.h"

namespace ingest {
namespace {

using nlohmann::ordered_json;
using testing::HasSubstr;

ordered_json snapshot() {
    return ordered_json::parse(R"({"time":"2026-11-22T10:00:01.000Z","node":"out1","version":"1",
        "state":"accepting","totals":{"accepted":30,"open":10,"delivered":18,"deferrals":4,
        "bounced":2,"expired":0},"rates":{"accepted":5,"delivered":12345,"deferred":0,"bounced":0.4,
        "expired":0},"queue":{"scheduled":7,"ready":2,"sending":1,"oldest_seconds":90},
        "latency":{"p50":0.02,"p90":0.4,"p99":70},"connections":{"busy":3,"idle":4},
        "shards_busy":[0.914,0.4],"sites_spread":1,
        "providers":[{"provider":"slow","delivered":1,"busy":0},
                     {"provider":"google","delivered":900,"busy":3}],
        "events":[{"type":"delivered","time":"2026-11-22T10:00:00.000Z","to":"a@x.test"},
                  {"type":"bounced","time":"2026-11-22T10:00:01.000Z","to":"b@x.test",
                   "code":550,"reply":"no\u001b[2J"}]})");
}

ordered_json jobs() {
    return ordered_json::parse(R"({"jobs":[{"job":"0SBBWTA8R2000","campaign":"news",
        "accepted":200,"open":50,"estimated_finish":"2026-11-22T10:05:00.000Z"}]})");
}

size_t columns(const std::string& line) {
    return static_cast<size_t>(
        std::ranges::count_if(line, [](char c) { return (c & 0xc0) != 0x80; }));
}

std::string drawn(Screen screen) {
    std::string out;
    for (const std::string& line : top_lines(snapshot(), jobs(), {1, 2, 3}, screen))
        out += line + "\n";
    return out;
}

TEST(TopScreen, ShowsRatesQueueProvidersJobsAndTheNewestEventFirst) {
    const std::string text = drawn({120, 40});
    EXPECT_THAT(text, HasSubstr("delivered 12,345/s (18)"));
    EXPECT_THAT(text, HasSubstr("open 10: 7 scheduled, 2 ready, 1 sending"));
    EXPECT_THAT(text, HasSubstr("99% 70.0 s"));
    EXPECT_THAT(text,
                HasSubstr("shards 2, busy 40% to 91%   all send to 1 site: one was too busy"));
    EXPECT_LT(text.find("google"), text.find("slow")) << "the busiest first";
    EXPECT_THAT(text, HasSubstr("############....  75%   10:05:00"));
    EXPECT_LT(text.find("b@x.test"), text.find("a@x.test"));
    EXPECT_THAT(text, testing::Not(HasSubstr("\x1b"))) << "what strangers wrote";
}

TEST(TopScreen, FitsEveryScreen) {
    for (const Screen screen : {Screen{20, 3}, Screen{80, 24}, Screen{1, 1}, Screen{200, 60}}) {
        const auto lines = top_lines(snapshot(), jobs(), {1, 2, 3}, screen);
        EXPECT_LE(lines.size(), screen.rows);
        for (const std::string& line : lines) EXPECT_LE(columns(line), screen.columns) << line;
    }
}

TEST(TopScreen, DrawsWithNothingKnown) {
    const auto nothing = ordered_json::object();
    EXPECT_FALSE(top_lines(nothing, nothing, {}, {80, 24}).empty());
}

TEST(TopScreen, DrawsACurveAgainstItsLargestValue) {
    EXPECT_EQ(sparkline({0, 5, 10}, 10), "▁▅█");
    EXPECT_EQ(sparkline({10, 0, 5}, 2), "▁█") << "the last ones";
    EXPECT_EQ(sparkline({}, 10), "");
    EXPECT_EQ(sparkline({0, 0}, 10), "▁▁");
}

TEST(LiveClient, TellsHowManyShardsSendToASiteAndWhy) {
    EXPECT_EQ(shards_words({{"shards", 1}}), "1");
    EXPECT_EQ(shards_words({{"shards", 4}}), "all 4: one was too busy");
    EXPECT_EQ(shards_words({{"shards", 1}, {"spread_ended", "a host complains"}}),
              "1 again: a host complains");
}

TEST(LiveClient, WritesNumbersInFewCharacters) {
    EXPECT_EQ(short_rate(0), "0");
    EXPECT_EQ(short_rate(3.44), "3.4");
    EXPECT_EQ(short_rate(12345.4), "12,345");
    EXPECT_EQ(short_seconds(0.042), "42 ms");
    EXPECT_EQ(short_seconds(7200), "2 h");
    EXPECT_EQ(fitted("äöü", 2), "äö");
    EXPECT_EQ(fitted_right("7", 3), "  7");
    EXPECT_EQ(bar(0.5, 4), "##..");
    EXPECT_EQ(bar(7, 4), "####");
}

}  // namespace
}  // namespace ingest
