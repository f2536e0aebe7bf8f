#include "engine/delivery/outcomes.h"

#include <gtest/gtest.h>

#include "engine/delivery/in_doubt.h"

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

Attempt lost_attempt() {
    Attempt lost = attempt(Verdict::Kind::deferred, Stage::body, {0, "", "connection lost"});
    lost.verdict.in_doubt = true;
    return lost;
}

Settings settings_with(WhenInDoubt bulk) {
    Settings with = settings();
    with.in_doubt = {WhenInDoubt::retry, bulk};
    return with;
}

TEST(Outcomes, WhatIsInDoubtGoesAgainAndTheNextEventSaysSo) {
    const Decision first = decided(terms(), lost_attempt());
    EXPECT_EQ(first.doubt, DoubtCause::connection);
    EXPECT_FALSE(first.event.may_be_duplicate);
    LoanTerms again = terms();
    again.delivery = first.next.value();
    const Decision second =
        decided(again, attempt(Verdict::Kind::deferred, Stage::rcpt, {450, "", "later"}));
    EXPECT_TRUE(second.event.may_be_duplicate);
    EXPECT_FALSE(second.event.in_doubt);
    again.delivery = second.next.value();
    const Decision third =
        decided(again, attempt(Verdict::Kind::delivered, Stage::body, {250, "", "ok"}));
    EXPECT_TRUE(third.event.may_be_duplicate);
}

TEST(Outcomes, WhatIsHeldInDoubtIsDueWhenItExpiresAndIsOnTheList) {
    const Decision d = decided(terms(), lost_attempt(), settings_with(WhenInDoubt::hold));
    ASSERT_TRUE(d.next);
    EXPECT_EQ(d.next->doubt, storage::Doubt::held);
    EXPECT_EQ(d.next->due, d.next->expires);
    EXPECT_FALSE(d.event.next_attempt);
    std::vector<Decision> decisions;
    decisions.push_back(d);
    const storage::Batch batch = batch_of(decisions);
    ASSERT_EQ(batch.notes.size(), 1u);
    const auto held = read_held(batch.notes[0].note);
    ASSERT_TRUE(held);
    EXPECT_EQ(held->key, storage::key_of(*d.next));
    EXPECT_EQ(held->domain, "x.test");
}

TEST(Outcomes, WhatIsHeldLeavesTheListWithItsEnd) {
    LoanTerms held = terms(1);
    held.delivery.doubt = storage::Doubt::held;
    std::vector<Decision> decisions;
    decisions.push_back(expire(held, now + 100h));
    decisions.push_back(settle_held(held, HeldAnswer::delivered, "s@x.test", now));
    decisions.push_back(settle_held(held, HeldAnswer::retry, "s@x.test", now));
    const storage::Batch batch = batch_of(decisions);
    ASSERT_EQ(batch.notes.size(), 3u);
    for (const storage::KindNote& note : batch.notes) EXPECT_TRUE(note.note.value.empty());
    EXPECT_NE(batch.events[0].reply.find("held in doubt"), std::string::npos);
    EXPECT_EQ(batch.events[1].type, Event::Type::delivered);
    EXPECT_EQ(batch.events[1].from, "s@x.test");
    ASSERT_EQ(batch.puts.size(), 1u);
    EXPECT_EQ(batch.puts[0].doubt, storage::Doubt::may_be_duplicate);
    EXPECT_LT(batch.puts[0].due, held.delivery.due);
    EXPECT_EQ(batch.puts[0].attempts, 1u);
}

TEST(Outcomes, WhatIsAssumedDeliveredSaysThatItIs) {
    LoanTerms late = terms();
    late.delivery.expires = now;
    const Decision d = decided(late, lost_attempt(), settings_with(WhenInDoubt::assume_delivered));
    EXPECT_EQ(d.event.type, Event::Type::delivered);
    EXPECT_TRUE(d.event.in_doubt);
    EXPECT_NE(d.event.reply.find("taken as delivered"), std::string::npos);
    EXPECT_TRUE(d.event.bounce_class.empty());
    EXPECT_FALSE(d.next);
}

TEST(Outcomes, EachClassHasItsOwnWayOutOfADoubt) {
    LoanTerms transactional = terms();
    transactional.queue = std::make_shared<const storage::QueueInfo>(
        storage::QueueInfo{"acme", "", storage::Class::transactional, "x.test"});
    const Decision d =
        decided(transactional, lost_attempt(), settings_with(WhenInDoubt::assume_delivered));
    EXPECT_EQ(d.event.type, Event::Type::deferred);
}

TEST(Outcomes, ANoteThatIsNoHeldDeliveryIsNone) {
    EXPECT_FALSE(read_held({"", ""}));
    EXPECT_FALSE(read_held({"01J0000000000-1", "xyz"}));
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

TEST(Outcomes, ABounceOfAClassThatSuppressesPutsItsRecipientOnTheList) {
    Settings with = settings();
    const Attempt refused =
        attempt(Verdict::Kind::bounced, Stage::rcpt, {550, "5.1.1", "no such user"});
    EXPECT_TRUE(batch_of({decided(terms(), refused, with)}).suppressions.empty());
    with.suppressed_bounces = 1U << static_cast<unsigned>(BounceClass::invalid_recipient);
    LoanTerms of = terms();
    of.delivery.recipient = "Ann.B@X.test";
    const storage::Batch batch = batch_of({decided(std::move(of), refused, with)});
    ASSERT_EQ(batch.suppressions.size(), 1U);
    const storage::Suppression& entry = batch.suppressions.front();
    EXPECT_EQ(entry.tenant, "acme");
    EXPECT_EQ(entry.address, "ann.b@x.test");
    EXPECT_EQ(entry.source, "bounce");
    EXPECT_EQ(entry.reason, "invalid_recipient: 550 5.1.1 no such user");
    EXPECT_EQ(entry.time, now);
    const Attempt full =
        attempt(Verdict::Kind::bounced, Stage::rcpt, {552, "5.2.2", "mailbox full"});
    EXPECT_TRUE(batch_of({decided(terms(), full, with)}).suppressions.empty());
    const Attempt later = attempt(Verdict::Kind::deferred, Stage::rcpt, {450, "4.1.1", "later"});
    EXPECT_TRUE(batch_of({decided(terms(), later, with)}).suppressions.empty());
}

TEST(Outcomes, ATenantsOwnClassesStandInThePlaceOfTheNodes) {
    Settings with = settings();
    with.suppressed_bounces = 1U << static_cast<unsigned>(BounceClass::invalid_recipient);
    with.tenants["acme"].suppressed_bounces = 0;
    EXPECT_FALSE(with.suppresses("acme", BounceClass::invalid_recipient));
    EXPECT_TRUE(with.suppresses("other", BounceClass::invalid_recipient));
    with.tenants["acme"].suppressed_bounces = 1U << static_cast<unsigned>(BounceClass::bad_domain);
    EXPECT_TRUE(with.suppresses("acme", BounceClass::bad_domain));
    EXPECT_FALSE(with.suppresses("other", BounceClass::bad_domain));
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

// --- what senders are told

ContentMemory memory;

/// Terms of mail whose sender wants reports.
LoanTerms reported(uint8_t notify = 0, std::string sender = "bob@news.example") {
    LoanTerms t = terms();
    t.delivery.notify = notify;
    storage::Job job{.sender = std::move(sender), .reports = true};
    t.job = std::make_shared<const JobInfo>(std::move(job), nullptr, memory);
    return t;
}

Attempt refusal() {
    return attempt(Verdict::Kind::bounced, Stage::rcpt, {550, "5.1.1", "who?"});
}
Attempt deferral() {
    return attempt(Verdict::Kind::deferred, Stage::rcpt, {450, "4.2.0", "later"});
}
Attempt success() {
    return attempt(Verdict::Kind::delivered, Stage::body, {250, "2.0.0", "ok"});
}

TEST(Reporting, TellsOfFailuresUnlessNotifySaysOtherwise) {
    namespace notify = storage::notify;
    EXPECT_EQ(decided(reported(), refusal()).report, Report::failed);
    EXPECT_EQ(decided(reported(notify::failure | notify::delay), refusal()).report, Report::failed);
    EXPECT_EQ(decided(reported(notify::success), refusal()).report, Report::none);
    EXPECT_EQ(decided(reported(notify::never), refusal()).report, Report::none);
    EXPECT_EQ(expire(reported(), now).report, Report::failed);
    EXPECT_EQ(expire(reported(notify::never), now).report, Report::none);
    EXPECT_EQ(suppress(reported(), now).report, Report::failed);
    EXPECT_EQ(suppress(reported(notify::never), now).report, Report::none);
}

TEST(Reporting, NeverTellsOfMailWithoutASenderNorOfMailThatDoesNotAsk) {
    EXPECT_EQ(decided(reported(0, ""), refusal()).report, Report::none);
    EXPECT_EQ(expire(reported(0, ""), now).report, Report::none);
    EXPECT_EQ(decided(terms(), refusal()).report, Report::none);
}

TEST(Reporting, TellsOfSuccessWhereItIsAskedForAndTheHostWillNot) {
    EXPECT_EQ(decided(reported(storage::notify::success), success()).report, Report::relayed);
    Attempt passed_on = success();
    passed_on.host_reports = true;
    EXPECT_EQ(decided(reported(storage::notify::success), passed_on).report, Report::none);
    EXPECT_EQ(decided(reported(), success()).report, Report::none);
}

TEST(Reporting, TellsOfADelayOnceHoweverTheAttemptsFall) {
    for (unsigned seed = 0; seed < 200; ++seed) {
        std::mt19937_64 random(seed);
        Settings s = settings();
        s.retry_schedule = {60s, 300s, 900s, 3600s, 7200s, 14400s};
        LoanTerms t = reported();
        t.delivery.accepted = t.delivery.due = now;
        t.delivery.expires = now + 72h;
        WallTime at = now;
        int told = 0;
        while (at < now + 24h) {
            // Some attempts come long after their time: a backlog, or a daemon that was down.
            const auto late = random() % 4 == 0 ? std::chrono::minutes(random() % 300) : 0min;
            at = t.delivery.due + late;
            const Decision d = decide(t, deferral(), s, at, random);
            told += d.report == Report::delayed;
            t.delivery = *d.next;
        }
        EXPECT_EQ(told, 1) << "seed " << seed;
    }
}

TEST(Reporting, TellsOfNoDelayWhenTheOperatorOrTheSenderDoesNotWantIt) {
    Settings never = settings();
    never.report_delay_after = 0ms;
    LoanTerms late = reported();
    late.delivery.accepted = now - 4h;
    late.delivery.due = now - 1h;
    Settings wanted = settings();
    wanted.report_delay_after = 3h + 30min;
    EXPECT_EQ(decided(late, deferral(), wanted).report, Report::delayed);
    EXPECT_EQ(decided(late, deferral(), never).report, Report::none);
    late.delivery.notify = storage::notify::failure;
    EXPECT_EQ(decided(late, deferral(), wanted).report, Report::none);
}

TEST(Outcomes, AnExpirySaysTheLastAnswerWhenItIsKnown) {
    LoanTerms t = terms(2);
    t.last = last_word_of(decided(terms(), deferral()));
    const Decision d = expire(std::move(t), now);
    EXPECT_EQ(d.event.reply, "expired; the last attempt ended with: 450 4.2.0 later");
    EXPECT_EQ(d.event.mx, "mx.x.test");
}

}  // namespace
}  // namespace engine
