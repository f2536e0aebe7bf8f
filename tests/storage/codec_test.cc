// Records survive a round trip; whatever else is read gives an error or other values, never a
// crash.
#include "storage/codec.h"

#include <gtest/gtest.h>

#include <random>

#include "storage/keys.h"
#include "storage/ledger.h"
#include "storage/records.h"
#include "tests/storage/support/records.h"

namespace storage {
namespace {

using namespace storage::tests;

Event full_event() {
    Event event = make_event(Event::Type::deferred, {job_id(3), 9});
    event.seq = 5;
    event.klass = Class::transactional;
    event.from = "bounce@x.test";
    event.site = "google";
    event.mx = "mx1.x.test";
    event.ip = "192.0.2.1";
    event.attempt = 4;
    event.stage = "rcpt";
    event.code = 451;
    event.enhanced = "4.7.1";
    event.reply = "try later";
    event.next_attempt = noon + std::chrono::minutes(5);
    event.queue_ms = 7;
    event.smtp_ms = UINT64_MAX;
    event.meta = R"({"uid":7})";
    event.in_doubt = true;
    event.may_be_duplicate = true;
    return event;
}

std::string bytes_of_event() {
    Writer out;
    write_event(out, full_event());
    return out.take();
}
std::string bytes_of_delivery() {
    Writer out;
    write_delivery(out, make_delivery(job_id(1), 2), {.boot = 1, .shard = 2, .group = 3});
    return out.take();
}
JobRow full_row() {
    JobRow row;
    row.job = make_job(job_id(1), "");
    row.boot = 3;
    row.tally.counts = {.accepted = 9, .delivered = 4};
    row.tally.last_end = noon;
    for (const uint64_t seq : {1, 5000, 90000}) row.tally.ranges.add(seq);
    return row;
}
std::string bytes_of_row() {
    Writer out;
    full_row().write(out);
    return out.take();
}

// Calls `readable` with every truncation, every flipped bit and random octets. Truncated records
// must not be readable.
template <class Readable>
void torture(const std::string& bytes, Readable readable) {
    ASSERT_TRUE(readable(bytes));
    for (size_t size = 0; size < bytes.size(); ++size)
        EXPECT_FALSE(readable(std::string(bytes.data(), size))) << "truncated to " << size;
    EXPECT_FALSE(readable(bytes + '\0'));
    for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
        std::string flipped = bytes;
        flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
        readable(flipped);
    }
    std::mt19937 random(7);
    for (int i = 0; i < 20'000; ++i) {
        std::string noise = bytes;
        for (int changes = 0; changes < 4; ++changes)
            noise[random() % noise.size()] = static_cast<char>(random());
        readable(noise);
    }
}

TEST(Codec, KeepsVarintsAndTimesAtTheirLimits) {
    for (const uint64_t value : {uint64_t{0}, uint64_t{127}, uint64_t{128}, UINT64_MAX}) {
        Writer out;
        out.varint(value);
        Reader in(out.bytes());
        EXPECT_EQ(in.varint(), value);
        EXPECT_TRUE(in.finished());
    }
    for (const int64_t ms : {int64_t{0}, int64_t{-1}, INT64_MIN, INT64_MAX}) {
        Writer out;
        out.time(WallTime(std::chrono::milliseconds(ms)));
        Reader in(out.bytes());
        EXPECT_EQ(in.time().time_since_epoch().count(), ms);
    }
}

TEST(Codec, RefusesAVarintOfMoreThan64Bits) {
    Reader in("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02");
    EXPECT_EQ(in.varint(), 0U);
    EXPECT_TRUE(in.failed());
}

TEST(Codec, RefusesAStringLongerThanItsRecord) {
    Writer out;
    out.varint(UINT64_MAX);
    out.raw("abc");
    Reader in(out.bytes());
    EXPECT_EQ(in.string(), "");
    EXPECT_TRUE(in.failed());
}

TEST(Codec, KeepsAnEventAsItWas) {
    const Event want = full_event();
    const auto got = read_event(5, bytes_of_event());
    ASSERT_TRUE(got.has_value());
    EXPECT_EQ(got->seq, want.seq);
    EXPECT_EQ(got->type, want.type);
    EXPECT_EQ(got->delivery, want.delivery);
    EXPECT_EQ(got->next_attempt, want.next_attempt);
    EXPECT_EQ(got->smtp_ms, want.smtp_ms);
    EXPECT_EQ(got->code, want.code);
    EXPECT_EQ(got->reply, want.reply);
    EXPECT_EQ(got->meta, want.meta);
    EXPECT_TRUE(got->in_doubt);
    EXPECT_TRUE(got->may_be_duplicate);
    EXPECT_TRUE(event_is_of(bytes_of_event(), want.delivery));
    EXPECT_EQ(event_time(bytes_of_event()), want.time);
}

TEST(Codec, KeepsWhatASubmitterAsksForOfADelivery) {
    Delivery want = make_delivery(job_id(1), 2);
    want.notify = notify::success | notify::delay;
    want.orcpt = "rfc822;user2@old.test";
    Writer out;
    write_delivery(out, want, {.boot = 1});
    const auto got = read_delivery(key_of(want), out.bytes());
    ASSERT_TRUE(got.has_value());
    EXPECT_EQ(got->notify, want.notify);
    EXPECT_EQ(got->orcpt, want.orcpt);
    EXPECT_EQ(got->vars, want.vars);
}

TEST(Codec, KeepsWhatASubmitterAsksForOfAJob) {
    JobRow want = full_row();
    want.job->envid = "QQ314159";
    want.job->ret = DsnReturn::full;
    want.job->reports = true;
    want.job->tls = TlsRequest::required;
    Writer out;
    want.write(out);
    const auto got = JobRow::read(out.bytes());
    ASSERT_TRUE(got.has_value() && got->job.has_value());
    EXPECT_EQ(got->job->envid, "QQ314159");
    EXPECT_EQ(got->job->ret, DsnReturn::full);
    EXPECT_TRUE(got->job->reports);
    EXPECT_EQ(got->job->tls, TlsRequest::required);
    EXPECT_EQ(got->tally.counts.accepted, want.tally.counts.accepted);
}

TEST(Codec, ReadsTheEventsOfEarlierVersions) {
    std::string bytes = bytes_of_event();
    bytes[0] = 2;
    bytes.pop_back();  // may_be_duplicate is the last octet of the third
    const auto second = read_event(5, bytes);
    ASSERT_TRUE(second.has_value());
    EXPECT_TRUE(second->in_doubt);
    EXPECT_FALSE(second->may_be_duplicate);
    bytes[0] = 1;
    bytes.pop_back();  // in_doubt is the last octet of the second
    const auto got = read_event(5, bytes);
    ASSERT_TRUE(got.has_value());
    EXPECT_EQ(got->meta, full_event().meta);
    EXPECT_FALSE(got->in_doubt);
}

TEST(Codec, ReadsTheDeliveriesOfTheSecondVersion) {
    Delivery held = make_delivery(job_id(1), 2);
    held.doubt = Doubt::held;
    Writer out;
    write_delivery(out, held, {.boot = 1, .shard = 2, .group = 3});
    std::string bytes = out.take();
    ASSERT_EQ(read_delivery(key_of(held), bytes).value().doubt, Doubt::held);
    bytes[0] = 2;
    bytes.pop_back();
    const auto got = read_delivery(key_of(held), bytes);
    ASSERT_TRUE(got.has_value());
    EXPECT_EQ(got->recipient, held.recipient);
    EXPECT_EQ(got->doubt, Doubt::none);
}

TEST(Codec, SurvivesHostileEvents) {
    torture(bytes_of_event(), [](const std::string& bytes) {
        (void)event_is_of(bytes, {});
        return read_event(1, bytes).has_value();
    });
}

TEST(Codec, SurvivesHostileDeliveries) {
    const DeliveryKey key = key_of(make_delivery(job_id(1), 2));
    torture(bytes_of_delivery(),
            [&](const std::string& bytes) { return read_delivery(key, bytes).has_value(); });
}

TEST(Codec, SurvivesHostileJobRows) {
    torture(bytes_of_row(),
            [](const std::string& bytes) { return JobRow::read(bytes).has_value(); });
}

TEST(Codec, RefusesTheRecordOfANewerVersion) {
    std::string bytes = bytes_of_event();
    bytes[0] = 4;
    EXPECT_FALSE(read_event(1, bytes).has_value());
}

TEST(Keys, SortAsTheirNumbersDo) {
    const auto key = [](int64_t due, uint32_t index) {
        return delivery_key({{1, 2}, WallTime(std::chrono::milliseconds(due)), {JobId{1}, index}});
    };
    EXPECT_LT(key(-5, 0), key(0, 0));
    EXPECT_LT(key(255, 9), key(256, 0));
    EXPECT_LT(key(256, 0), key(256, 256));
    EXPECT_EQ(key(0, 0).size(), delivery_key_bytes);
    EXPECT_EQ(parse_delivery_key(key(-5, 7))->due.time_since_epoch().count(), -5);
    EXPECT_EQ(behind_prefix("a\xff"), "b");
    EXPECT_EQ(behind_prefix("\xff\xff"), "");
}

TEST(Keys, KeepTenantAndKeyApart) {
    EXPECT_NE(idempotency_key("ab", "c"), idempotency_key("a", "bc"));
    const IdempotencyRecord record{"acme", "k", "", "", noon};
    const auto name = parse_idempotency_expiry_key(idempotency_expiry_key(record));
    ASSERT_TRUE(name.has_value());
    EXPECT_EQ(name->tenant, "acme");
    EXPECT_EQ(name->key, "k");
    EXPECT_EQ(name->expires, noon);
}

}  // namespace
}  // namespace storage
