// Mails to receivers that misbehave at random, at every depth: each recipient gets exactly one
// verdict an attempt, and what the verdicts say is what the receiver has in its spool.
#include <gtest/gtest.h>

#include <cstdlib>
#include <deque>
#include <map>

#include "engine/reactor/scope.h"
#include "engine/smtp/mail_source.h"
#include "engine/smtp/session.h"
#include "tests/engine/smtp/support/model_receiver.h"

namespace engine::testing {
namespace {

using Kind = Verdict::Kind;

/// One recipient of one mail, over all attempts.
struct Recipient {
    int attempts = 0, in_doubt = 0;
    bool delivered = false, bounced = false;
    size_t kept_when_bounced = 0;
};

struct Work {
    Mail mail;
    int tries = 0;
};

std::string content_of(int id) {
    return "X-Id: " + std::to_string(id) + "\r\n\r\n.text\r\nRSET\r\nNOOP\r\n";
}

/// The mails that are still to be sent, and what became of each.
class Campaign : public MailSource {
  public:
    Campaign(std::mt19937& random, std::vector<Kept>& kept, int mails)
        : random_(random), kept_(kept) {
        for (int id = 0; id < mails; ++id) {
            Mail mail{.sender = "s" + std::to_string(id) + "@s",
                      .content = std::make_shared<const std::string>(content_of(id))};
            for (unsigned r = 1 + random_() % 3; r > 0; --r)
                mail.recipients.push_back({"r" + std::to_string(id) + "." + std::to_string(r)});
            queue_.push_back({std::move(mail)});
        }
    }

    std::optional<Mail> take() override {
        if (queue_.empty() || random_() % 8 == 0) return std::nullopt;
        under_way_.push_back(std::move(queue_.front()));
        queue_.pop_front();
        return under_way_.back().mail;
    }
    bool ready() const override { return !queue_.empty(); }
    void prepare() override {}
    Task<bool> wait() override { co_return !queue_.empty(); }
    void settle(Outcome outcome) override;

    bool done() const { return queue_.empty(); }
    bool idle() const { return under_way_.empty(); }
    const std::map<std::string, Recipient>& recipients() const { return recipients_; }
    size_t times_kept(const std::string& address) const {
        return std::ranges::count(kept_, address, &Kept::recipient);
    }

  private:
    std::mt19937& random_;
    std::vector<Kept>& kept_;
    std::deque<Work> queue_, under_way_;
    std::map<std::string, Recipient> recipients_;
};

void Campaign::settle(Outcome outcome) {
    ASSERT_FALSE(under_way_.empty()) << "an outcome for a mail that was not taken";
    Work work = std::move(under_way_.front());
    under_way_.pop_front();
    ASSERT_EQ(outcome.verdicts.size(), work.mail.recipients.size());
    Work again{work.mail, work.tries + 1};
    again.mail.recipients.clear();
    for (size_t i = 0; i < outcome.verdicts.size(); ++i) {
        const Verdict& verdict = outcome.verdicts[i];
        Recipient& recipient = recipients_[work.mail.recipients[i].address];
        ++recipient.attempts;
        recipient.in_doubt += verdict.in_doubt;
        EXPECT_TRUE(verdict.reply.code != 0 || !verdict.reply.text.empty()) << "no reason given";
        EXPECT_FALSE(verdict.in_doubt && verdict.kind != Kind::deferred);
        recipient.delivered |= verdict.kind == Kind::delivered;
        if (verdict.kind == Kind::bounced) {
            recipient.bounced = true;
            recipient.kept_when_bounced = times_kept(work.mail.recipients[i].address);
        }
        again.mail.lock_step |= verdict.failure == Failure::dialogue;
        if (verdict.kind == Kind::deferred || verdict.kind == Kind::untried)
            again.mail.recipients.push_back(work.mail.recipients[i]);
    }
    constexpr int tries_max = 12;
    if (!again.mail.recipients.empty() && again.tries < tries_max)
        queue_.push_back(std::move(again));
}

Task<> converse(Session* session, Campaign* campaign) {
    if (!co_await session->greet("out.example")) co_return;
    co_await session->run(campaign);
    co_await session->quit();
}

Habits habits_from(std::mt19937& random) {
    const auto one_in = [&](unsigned n) { return random() % n == 0; };
    Habits habits;
    habits.pipelining = !one_in(8);
    habits.chunking = one_in(2);
    habits.refuses_behind_content = one_in(8);
    habits.swallows_behind_content = !habits.refuses_behind_content && one_in(8);
    habits.takes_chunks_for_commands = one_in(6);
    habits.keeps_transaction_open = one_in(4);
    habits.goes_on_after_421 = one_in(2);
    habits.counts_resets = one_in(4);
    habits.says_exim = habits.counts_resets && one_in(2);
    habits.messages_max = one_in(4) ? 1 + random() % 20 : 0;
    habits.refusals_percent = one_in(4) ? 60 : 10;
    habits.cuts_per_mille = one_in(3) ? 20 : one_in(2) ? 2 : 0;
    return habits;
}

SessionPlan plan_from(std::mt19937& random) {
    return {.depth = static_cast<Depth>(random() % 4),
            .next = random() % 4 == 0 ? SessionPlan::Open::at_once : SessionPlan::Open::after_probe,
            .window = static_cast<uint32_t>(1 + random() % 8),
            .messages_max = random() % 4 == 0 ? 10u : 0u};
}

struct Tally {
    size_t delivered = 0, bounced = 0, in_doubt = 0, twice = 0, connections = 0;
};

/// What the receiver kept is what it should have been sent, and what the verdicts say of it.
void audit(const Campaign& campaign, const std::vector<Kept>& kept, Tally& tally) {
    for (const Kept& mail : kept) {
        const std::string id = mail.recipient.substr(1, mail.recipient.find('.') - 1);
        EXPECT_EQ(mail.sender, "s" + id + "@s") << "kept under another mail's sender";
        const std::string whole = "X-Id: " + id + "\r\n";
        EXPECT_TRUE(mail.content.starts_with(whole)) << "kept with another mail's content";
    }
    for (const auto& [address, recipient] : campaign.recipients()) {
        const size_t times = campaign.times_kept(address);
        const size_t may = static_cast<size_t>(recipient.in_doubt) + recipient.delivered;
        EXPECT_LE(times, may) << address << " was kept more often than the verdicts tell";
        if (recipient.delivered) EXPECT_GE(times, 1u) << address << " is lost";
        EXPECT_FALSE(recipient.delivered && recipient.bounced) << address;
        tally.delivered += recipient.delivered;
        tally.bounced += recipient.bounced;
        tally.in_doubt += recipient.in_doubt;
        tally.twice += times > 1;
    }
}

void run_campaign(unsigned seed, Tally& tally) {
    std::mt19937 random(seed);
    const Habits habits = habits_from(random);
    const SessionPlan plan = plan_from(random);
    std::vector<Kept> kept;
    Campaign campaign(random, kept, 40);
    const auto traits = std::make_shared<HostTraits>();
    constexpr int connections_max = 2000;
    int connections = 0;
    for (; connections < connections_max && !campaign.done(); ++connections) {
        ManualClock clock;
        ModelReceiver receiver(clock, random, habits, kept);
        Session session(receiver, clock, {});
        session.plan(plan, traits);
        Scope scope;
        scope.spawn(converse(&session, &campaign));
        ASSERT_EQ(scope.running(), 0u) << "a session waits for ever";
        ASSERT_TRUE(campaign.idle()) << "a mail was taken and has no outcome";
    }
    EXPECT_LT(connections, connections_max) << "it goes round in a circle";
    tally.connections += connections;
    audit(campaign, kept, tally);
}

TEST(Window, LosesNothingAndDoublesOnlyWhatWasInDoubtWhateverTheReceiverDoes) {
    // 3,000 have been run; SLUICE_SEEDS=3000 runs them again.
    const char* const wanted = std::getenv("SLUICE_SEEDS");
    const unsigned seeds = wanted ? static_cast<unsigned>(std::stoul(wanted)) : 150;
    Tally tally;
    for (unsigned seed = 1; seed <= seeds; ++seed) {
        run_campaign(seed, tally);
        ASSERT_FALSE(::testing::Test::HasFailure()) << "seed " << seed;
    }
    // Every kind of end must have been among them, or the test would prove little.
    EXPECT_GT(tally.delivered, 2000u);
    EXPECT_GT(tally.bounced, 500u);
    EXPECT_GT(tally.in_doubt, 20u);
    EXPECT_GT(tally.twice, 5u);
}

TEST(Window, LeavesAnEximBeforeItHasCountedTooManyResets) {
    std::mt19937 random(7);
    const Habits habits{.chunking = true,
                        .counts_resets = true,
                        .says_exim = true,
                        .refusals_percent = 50,
                        .cuts_per_mille = 0};
    std::vector<Kept> kept;
    Campaign campaign(random, kept, 400);
    const auto traits = std::make_shared<HostTraits>();
    int connections = 0;
    for (; connections < 400 && !campaign.done(); ++connections) {
        ManualClock clock;
        ModelReceiver receiver(clock, random, habits, kept);
        Session session(receiver, clock, {});
        session.plan({.depth = Depth::next}, traits);
        Scope scope;
        scope.spawn(converse(&session, &campaign));
        EXPECT_FALSE(receiver.dropped()) << "connection " << connections;
    }
    EXPECT_TRUE(campaign.done());
    EXPECT_GT(connections, 5) << "no connection came near the limit";
}

}  // namespace
}  // namespace engine::testing
