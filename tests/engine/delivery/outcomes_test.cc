#include "engine/delivery/outcomes.h"

#include <gtest/gtest.h>

namespace engine {
namespace {

using namespace std::chrono_literals;
using storage::Event;
using storage::WallTime;

const WallTime now{std::chrono::sys_days{std::chrono::year{2026} / 11 / 22}};

Settings settings() {
    Settings s;
    s.retry_schedule = {60s, 300s, 900s};
    return s;
}

LoanTerms terms(uint32_t attempts = 0) {
    LoanTerms t;
    t.delivery = {.id = {storage::JobId{5}, 1},
                  .recipient = "a@x.test",
                  .attempts = attempts,
                  .accepted = now - 1h,
                  .due = now - 2s,
                  .expires = now + 72h};
    t.queue = std::make_shared<const storage::QueueInfo>(
        storage::QueueInfo{"acme", "nov", storage::Class::bulk, "x.test"});
    return t;
}

Attempt attempt(Verdict::Kind kind, Stage stage, Reply reply) {
    Attempt a;
    a.verdict = {.kind = kind, .stage = stage, .reply = std::move(reply)};
    a.mx = "mx.x.test";
    a.started = now - 1s;
    a.smtp_ms = 12;
    return a;
}

Decision decided(LoanTerms of, const Attempt& how, const Settings& with = settings()) {
    std::mt19937_64 random(1);
    return decide(std::move(of), how, with, now, random);
}

TEST(Outcomes, ADeliveryLeavesWithItsEvent) {
    const Decision d =
        decided(terms(2), attempt(Verdict::Kind::delivered, Stage::body, {250, "2.0.0", "ok"}));
    EXPECT_EQ(d.event.type, Event::Type::delivered);
    EXPECT_FALSE(d.next);
    EXPECT_EQ(d.event.attempt, 3u);
    EXPECT_EQ(d.event.queue_ms, 1000u);
    EXPECT_EQ(d.event.tenant, "acme");
}

TEST(Outcomes, ADeferralMovesAlongTheScheduleWithTenPercentOfJitter) {
    for (uint32_t attempts : {0u, 1u, 2u, 7u}) {
        const Decision d = decided(terms(attempts), attempt(Verdict::Kind::deferred, Stage::rcpt,
                                                            {450, "4.2.0", "later"}));
        const auto delay = retry_delay(settings(), attempts + 1);
        ASSERT_TRUE(d.next);
        EXPECT_EQ(d.next->attempts, attempts + 1);
        EXPECT_GE(d.next->due - now, delay * 9 / 10);
        EXPECT_LE(d.next->due - now, delay * 11 / 10);
        EXPECT_EQ(d.event.next_attempt, d.next->due);
    }
}

TEST(Outcomes, TheLastAttemptIsAtTheExpiryAndNotBehindIt) {
    LoanTerms late = terms();
    late.delivery.expires = now + 10s;
    const Decision d =
        decided(std::move(late), attempt(Verdict::Kind::deferred, Stage::rcpt, {450, "", "later"}));
    ASSERT_TRUE(d.next);
    EXPECT_EQ(d.next->due, now + 10s);
}

TEST(Outcomes, ADeferralAfterTheExpiryExpires) {
    LoanTerms late = terms();
    late.delivery.expires = now;
    const Decision d =
        decided(std::move(late), attempt(Verdict::Kind::deferred, Stage::rcpt, {450, "", "later"}));
    EXPECT_EQ(d.event.type, Event::Type::expired);
    EXPECT_FALSE(d.next);
    EXPECT_EQ(d.event.code, 450);
}

TEST(Outcomes, ADeferralNeverKeepsItsKey) {
    LoanTerms odd = terms();
    odd.delivery.due = now + 1h;  // the clock jumped back
    odd.delivery.expires = now + 30min;
    const Decision d =
        decided(std::move(odd), attempt(Verdict::Kind::deferred, Stage::rcpt, {450, "", "later"}));
    ASSERT_TRUE(d.next);
    EXPECT_GT(d.next->due, now + 1h);
}

TEST(Outcomes, ABatchRemovesOldRowsPutsNewOnesAndTellsOfBoth) {
    std::vector<Decision> decisions;
    decisions.push_back(
        decided(terms(), attempt(Verdict::Kind::delivered, Stage::body, {250, "", "ok"})));
    decisions.push_back(
        decided(terms(), attempt(Verdict::Kind::deferred, Stage::mail, {421, "", "busy"})));
    const storage::Batch batch = batch_of(decisions);
    EXPECT_EQ(batch.removes.size(), 2u);
    EXPECT_EQ(batch.puts.size(), 1u);
    EXPECT_EQ(batch.events.size(), 2u);
    EXPECT_NE(storage::key_of(batch.puts[0]), batch.removes[1]);
}

TEST(Outcomes, InDoubtIsSaidInTheEvent) {
    Attempt lost = attempt(Verdict::Kind::deferred, Stage::body, {0, "", "connection lost"});
    lost.verdict.in_doubt = true;
    EXPECT_NE(decided(terms(), lost).event.reply.find("in doubt"), std::string::npos);
}

TEST(Outcomes, ARefusalAndADeferralGetTheirClass) {
    const auto klass = [](Verdict::Kind kind, Reply reply) {
        return decided(terms(), attempt(kind, Stage::rcpt, std::move(reply))).event.bounce_class;
    };
    EXPECT_EQ(klass(Verdict::Kind::bounced, {550, "5.1.1", "who?"}), "invalid_recipient");
    EXPECT_EQ(klass(Verdict::Kind::deferred, {450, "4.2.0", "Greylisted"}), "greylisted");
    EXPECT_EQ(klass(Verdict::Kind::deferred, {452, "4.2.2", "Mailbox full"}), "quota_issues");
    EXPECT_EQ(klass(Verdict::Kind::delivered, {250, "2.1.5", "ok"}), "");
}

TEST(Outcomes, AContentThatIsLostIsDeferred) {
    std::mt19937_64 random(1);
    const Decision d = content_lost(terms(), settings(), now, random);
    EXPECT_EQ(d.event.type, Event::Type::deferred);
    EXPECT_EQ(d.event.bounce_class, "bad_configuration");
    EXPECT_TRUE(d.next);
}

TEST(Outcomes, AnExpiryIsOfAClassOfItsOwn) {
    LoanTerms late = terms(3);
    late.delivery.expires = now - 1s;
    const Decision d = decided(
        std::move(late), attempt(Verdict::Kind::deferred, Stage::rcpt, {450, "4.2.0", "later"}));
    EXPECT_EQ(d.event.type, Event::Type::expired);
    EXPECT_EQ(d.event.bounce_class, "message_expired");
    EXPECT_EQ(d.event.bounce_kind, "soft");
}

}  // namespace
}  // namespace engine
