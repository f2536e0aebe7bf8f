// A server that answers anything at any time: whatever it says, the session must come to an end
// with one verdict a recipient, and must never take a mail for delivered that was not answered so.
#include <gtest/gtest.h>

#include <array>
#include <random>

#include "engine/reactor/scope.h"
#include "engine/smtp/session.h"
#include "tests/engine/smtp/support/script.h"

namespace engine::testing {
namespace {

class RandomServer : public Stream {
  public:
    RandomServer(ManualClock& clock, std::mt19937& random) : clock_(clock), random_(random) {}

    Task<Result<std::string_view>> read() override {
        const unsigned dice = random_() % 200;
        if (dice == 0) co_return failure(Errc::closed);
        if (dice == 1) co_return failure(Errc::reset);
        if (dice == 2) {
            clock_.set(deadline_);
            co_return failure(Errc::timeout);
        }
        segment_ = std::exchange(half_, "");
        for (unsigned n = 1 + random_() % 5 / 4; n > 0; --n) segment_ += answer();
        if (segment_.size() > 4 && random_() % 8 == 0) {
            half_ = segment_.substr(segment_.size() - 3);
            segment_.resize(segment_.size() - 3);
        }
        co_return std::string_view(segment_);
    }
    Task<Result<void>> write(std::span<const std::string_view> chunks) override {
        if (random_() % 100 == 0) co_return failure(Errc::reset);
        last_write_.clear();
        for (const std::string_view chunk : chunks) last_write_ += chunk;
        co_return Result<void>();
    }
    void expires_at(Instant deadline) override { deadline_ = deadline; }
    void close() override {}
    std::string peer() const override { return "192.0.2.1:25"; }

    const std::string& last_write() const { return last_write_; }
    bool said_yes_last() const { return segment_.starts_with("2"); }

  private:
    std::string answer() {
        // Mostly what goes on, so that conversations get far.
        if (random_() % 8 != 0) {
            const bool asked_data = last_write_.ends_with("DATA\r\n");
            return asked_data && random_() % 3 == 0 ? "354 go\r\n" : "250 ok\r\n";
        }
        constexpr std::array odd = {"550 5.1.1 no\r\n",
                                    "450 4.2.1 later\r\n",
                                    "421 bye\r\n",
                                    "452 4.5.3 too many\r\n",
                                    "503 5.5.1 no\r\n",
                                    "501 5.5.2 no\r\n",
                                    "354 go\r\n",
                                    "221 bye\r\n",
                                    "garbage\r\n",
                                    "250-a\r\n250 b\r\n",
                                    "250-a\r\n550 b\r\n",
                                    "554 no\r\n",
                                    "\r\n",
                                    "2",
                                    "552 5.5.3 x\r\n",
                                    "250\n"};
        return odd[random_() % odd.size()];
    }

    ManualClock& clock_;
    std::mt19937& random_;
    std::string segment_, half_, last_write_;
    Instant deadline_{};
};

struct Counts {
    int transactions = 0, delivered = 0, deferred = 0, bounced = 0, untried = 0, in_doubt = 0;
};

void count(Counts& tally, const Verdict& verdict, const RandomServer& server) {
    switch (verdict.kind) {
        case Verdict::Kind::delivered:
            ++tally.delivered;
            EXPECT_TRUE(verdict.reply.positive());
            EXPECT_EQ(verdict.stage, Stage::body);
            EXPECT_EQ(server.last_write(), "x\r\n.\r\n");
            break;
        case Verdict::Kind::bounced:
            ++tally.bounced;
            EXPECT_TRUE(verdict.reply.permanent());
            break;
        case Verdict::Kind::deferred:
            ++tally.deferred;
            break;
        case Verdict::Kind::untried:
            ++tally.untried;
            break;
    }
    if (verdict.in_doubt) {
        ++tally.in_doubt;
        EXPECT_EQ(verdict.kind, Verdict::Kind::deferred);
        EXPECT_EQ(server.last_write(), "x\r\n.\r\n");
    }
    EXPECT_TRUE(verdict.reply.code != 0 || !verdict.reply.text.empty()) << "no reason is given";
}

Task<> converse(Session* session, RandomServer* server, std::mt19937* random, Counts* tally) {
    if (!co_await session->greet("out.example")) co_return;
    const auto content = std::make_shared<const std::string>("x\r\n");
    for (int i = 0; i < 10; ++i) {
        Mail mail{.sender = "b@s", .content = content, .lock_step = (*random)() % 4 == 0};
        mail.recipients.assign(1 + (*random)() % 4, {"a@x"});
        const size_t recipients = mail.recipients.size();
        const Outcome outcome = co_await session->transact(std::move(mail));
        ++tally->transactions;
        EXPECT_EQ(outcome.verdicts.size(), recipients);
        for (const Verdict& verdict : outcome.verdicts) count(*tally, verdict, *server);
        if (!outcome.connection_usable) co_return;
    }
    co_await session->quit();
}

TEST(Session, EndsWithAVerdictWhateverTheServerSays) {
    std::mt19937 random(1);
    Counts tally;
    for (int i = 0; i < 30'000; ++i) {
        ManualClock clock;
        RandomServer server(clock, random);
        Session session(server, clock, {});
        Scope scope;
        scope.spawn(converse(&session, &server, &random, &tally));
        ASSERT_EQ(scope.running(), 0u);
        ASSERT_FALSE(::testing::Test::HasFailure()) << "conversation " << i;
    }
    // Every kind of end must have been among them, or the test would prove little.
    EXPECT_GT(tally.transactions, 10'000);
    EXPECT_GT(tally.delivered, 500);
    EXPECT_GT(tally.bounced, 1000);
    EXPECT_GT(tally.deferred, 1000);
    EXPECT_GT(tally.untried, 100);
    EXPECT_GT(tally.in_doubt, 30);
}

}  // namespace
}  // namespace engine::testing
