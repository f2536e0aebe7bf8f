// What a webhook is sent: which events, how many at a time, signed how. tests/e2e/webhook_test.py
// has receivers that fail.
#include "ingest/webhook.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "ingest/webhook_sender.h"
#include "tests/ingest/support/test_shard.h"

namespace ingest::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Type = storage::Event::Type;

void add_events(TestShard& shard, const std::vector<Type>& types, const std::string& tenant) {
    storage::Batch batch;
    for (uint32_t index = 0; index < types.size(); ++index) {
        storage::Event event{.type = types[index],
                             .time = shard.reactor.wall(),
                             .delivery = {storage::JobId{7}, index}};
        event.tenant = tenant;
        event.to = "r" + std::to_string(index) + "@x.test";
        batch.events.push_back(std::move(event));
    }
    batch.jobs.push_back({.id = storage::JobId{7}, .tenant = tenant, .content = "x"});
    ASSERT_TRUE(shard.store->commit(std::span(&batch, 1), 0, 1));
}

std::vector<uint64_t> sequences(const WebhookBatch& batch) {
    std::vector<uint64_t> found;
    for (const std::string& line : lines_of(batch.body))
        found.push_back(nlohmann::json::parse(line)["seq"]);
    return found;
}

TEST(Webhook, GetsTheEventsBehindItsPlaceThatItWants) {
    TestShard shard;
    using enum Type;
    add_events(shard, {accepted, accepted, delivered, bounced, delivered, expired}, "acme");
    const Webhook wants{.filter = {.types = *parse_event_types("bounced,expired")}};
    const auto batch = webhook_batch(*shard.store, wants, 0, 500);
    ASSERT_TRUE(batch);
    EXPECT_THAT(sequences(*batch), ElementsAre(4, 6));
    EXPECT_EQ(batch->first, 4U);
    EXPECT_EQ(batch->last, 6U);
    EXPECT_EQ(batch->upto, 6U);
    EXPECT_FALSE(batch->full);

    const Webhook of_others{.filter = {.tenant = "others"}};
    const auto none = webhook_batch(*shard.store, of_others, 0, 500);
    EXPECT_THAT(none->body, IsEmpty());
    EXPECT_EQ(none->upto, 6U) << "what it does not want is behind it, too";
}

TEST(Webhook, GetsNoMoreThanItTakesAtATimeAndTheRestNext) {
    TestShard shard;
    add_events(shard, std::vector<Type>(25, Type::accepted), "t");
    std::vector<uint64_t> all;
    uint64_t at = 0;
    for (int i = 0; i < 3; ++i) {
        const auto batch = webhook_batch(*shard.store, {}, at, 10);
        for (const uint64_t seq : sequences(*batch)) all.push_back(seq);
        EXPECT_EQ(batch->full, i < 2);
        at = batch->upto;
    }
    EXPECT_EQ(all.size(), 25U);
    EXPECT_TRUE(std::ranges::is_sorted(all));
    EXPECT_EQ(webhook_batch(*shard.store, {}, at, 10)->events, 0U);
}

/// By `printf '1790000000.{"seq":1}\n' | openssl dgst -sha256 -hmac s3cret`.
TEST(Webhook, IsSignedAsAnybodyCanCheck) {
    EXPECT_EQ(webhook_signature("s3cret", 1790000000, "{\"seq\":1}\n"),
              "t=1790000000,v1=7a80f8643d3a8ece47a550b3ada7fff8faf92041f236e66964ed4b963add22a0");
}

TEST(Webhook, SaysWhyNobodyAnswers) {
    WebhookSender sender({.name = "x", .url = "http://127.0.0.1:1/", .timeout = 1s});
    const auto sent = sender.send({.events = 1, .body = "{}\n"}, {});
    ASSERT_FALSE(sent);
    EXPECT_EQ(sent.error().status, 0);
    EXPECT_THAT(sent.error().what, testing::HasSubstr("127.0.0.1"));
}

}  // namespace
}  // namespace ingest::test
