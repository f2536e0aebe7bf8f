#include "ingest/logins.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ingest/api_keys.h"
#include "ingest/digest.h"
#include "ingest/password_hash.h"
#include "tests/ingest/support/smtp_harness.h"

namespace ingest {
namespace {

using Kind = LoginAnswer::Kind;
using smtp_testing::InlineWorker;
using smtp_testing::ManualClock;
using namespace std::chrono_literals;

/// SHA-512 with few rounds: the guard is what is tested, not the hash.
const std::string hash_of_secret =
    "$6$rounds=1000$saltsalt$"
    "LAV5VE5Y7w1d73x1mFNspYWUpazfmwv2SoepNXNKJ/otop/Zok96Hr8Q13LEv0DRY/x8v0/crpIjl8NJSAqXV/";

engine::Task<> ask(Logins* logins, std::string peer, std::string user, std::string password,
                   LoginAnswer* answer) {
    *answer = co_await logins->check(std::move(peer), std::move(user), std::move(password));
}

struct LoginsTest : ::testing::Test {
    ManualClock clock;
    InlineWorker worker;
    Logins logins{
        clock, worker, {{"ann", hash_of_secret, "acme"}, {"bob", hash_of_secret, "beta"}}};

    LoginAnswer check(const std::string& peer, const std::string& user,
                      const std::string& password) {
        LoginAnswer answer;
        engine::Scope scope;
        scope.spawn(ask(&logins, peer, user, password, &answer));
        EXPECT_EQ(scope.running(), 0u);
        return answer;
    }
    void pass(std::chrono::seconds time) { clock.set(clock.now() + time); }
};

TEST_F(LoginsTest, KnowWhoMaySubmitForWhom) {
    const LoginAnswer answer = check("192.0.2.1", "ann", "secret");
    EXPECT_EQ(answer.kind, Kind::welcome);
    EXPECT_EQ(answer.tenant, "acme");
    EXPECT_EQ(check("192.0.2.1", "bob", "secret").tenant, "beta");
    EXPECT_EQ(check("192.0.2.2", "ann", "Secret").kind, Kind::wrong);
    EXPECT_EQ(check("192.0.2.2", "ann", "").kind, Kind::wrong);
    EXPECT_EQ(check("192.0.2.2", "nobody", "secret").kind, Kind::wrong);
    EXPECT_EQ(check("192.0.2.3", "", "").kind, Kind::wrong);
    EXPECT_EQ(check("192.0.2.3", "Ann", "secret").kind, Kind::wrong);
}

TEST_F(LoginsTest, HashAPasswordOnceAndKnowItAgain) {
    for (int i = 0; i < 100; ++i)
        EXPECT_EQ(check("192.0.2.1", "ann", "secret").kind, Kind::welcome);
    EXPECT_EQ(worker.runs, 1u);
    EXPECT_EQ(check("192.0.2.1", "ann", "wrong").kind, Kind::wrong);
    EXPECT_EQ(worker.runs, 1u) << "what is not the one that was right is wrong";
}

TEST_F(LoginsTest, GoByOtherUsersAfterAReloadAndStillKnowThoseThatStayed) {
    EXPECT_EQ(check("192.0.2.1", "ann", "secret").kind, Kind::welcome);
    logins.use({{"ann", hash_of_secret, "acme"}, {"cid", hash_of_secret, "acme"}});
    EXPECT_EQ(check("192.0.2.1", "ann", "secret").kind, Kind::welcome);
    EXPECT_EQ(worker.runs, 1u) << "its password is known";
    EXPECT_EQ(check("192.0.2.1", "cid", "secret").tenant, "acme");
    EXPECT_EQ(check("192.0.2.2", "bob", "secret").kind, Kind::wrong);
    logins.use({{"ann", hash_of_secret, "beta"}});
    EXPECT_EQ(check("192.0.2.1", "ann", "secret").tenant, "beta");
}

TEST_F(LoginsTest, LookAtFewOfTenThousandGuessesFromOnePlace) {
    for (int i = 0; i < 10'000; ++i) {
        check("192.0.2.1", i % 2 ? "ann" : "user" + std::to_string(i), "guess" + std::to_string(i));
        pass(1s);
    }
    EXPECT_LE(logins.evaluated(), 20u);
    EXPECT_EQ(check("192.0.2.1", "ann", "secret").kind, Kind::locked);
    EXPECT_GT(check("192.0.2.1", "ann", "secret").wait, 0s);
    EXPECT_EQ(check("192.0.2.9", "bob", "secret").kind, Kind::welcome);
}

TEST_F(LoginsTest, LookAtFewOfTenThousandGuessesAtOneUserFromEverywhere) {
    EXPECT_EQ(check("198.51.100.1", "ann", "secret").kind, Kind::welcome);
    for (int i = 0; i < 10'000; ++i) {
        check("192.0." + std::to_string(i / 250) + "." + std::to_string(i % 250), "ann", "guess");
    }
    EXPECT_LE(logins.evaluated(), 50u);
    EXPECT_EQ(check("203.0.113.1", "ann", "secret").kind, Kind::locked);
    EXPECT_EQ(check("198.51.100.1", "ann", "secret").kind, Kind::welcome)
        << "guesses from elsewhere do not stop who has logged in before";
}

TEST_F(LoginsTest, GiveNobodyMoreGuessesForAPasswordThatWasRight) {
    for (int i = 0; i < 200; ++i) {
        check("192.0.2.1", "bob", "secret");
        check("192.0.2.1", "ann", "guess");
    }
    EXPECT_LE(logins.evaluated(), 2 * LoginGuard::peer_failures_free);
    EXPECT_EQ(check("192.0.2.1", "bob", "secret").kind, Kind::locked);
}

TEST_F(LoginsTest, OpenTheDoorAgainAfterAWhile) {
    for (int i = 0; i < 5; ++i) check("192.0.2.1", "ann", "guess");
    EXPECT_EQ(check("192.0.2.1", "ann", "secret").kind, Kind::locked);
    pass(61s);
    EXPECT_EQ(check("192.0.2.1", "ann", "secret").kind, Kind::welcome);
    EXPECT_EQ(check("192.0.2.1", "ann", "guess").kind, Kind::wrong);
    pass(61s);
    EXPECT_EQ(check("192.0.2.1", "ann", "secret").kind, Kind::locked) << "for longer each time";
    pass(61s);
    EXPECT_EQ(check("192.0.2.1", "ann", "secret").kind, Kind::welcome);
}

TEST(LoginGuard, HoldsABoundedNumberOfGuessers) {
    LoginGuard guard;
    const engine::Instant now{1h};
    for (size_t i = 0; i < LoginGuard::entries_max + 10'000; ++i)
        guard.failed("peer" + std::to_string(i), "user" + std::to_string(i % 100), now);
    EXPECT_LE(guard.entries(), LoginGuard::entries_max + 100);
    EXPECT_TRUE(guard.has_room("new", "new", now)) << "entries that lock nobody out make room";
}

/// A worker whose jobs wait until they are let go.
class SlowWorker : public engine::Worker {
  public:
    struct Pause {
        SlowWorker& worker;
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> handle) const {
            worker.waiting.push_back(handle);
        }
        void await_resume() const noexcept {}
    };
    engine::Task<> run(std::move_only_function<void()> work) override {
        co_await Pause{*this};
        work();
    }
    size_t backlog() const override { return waiting.size(); }
    std::deque<std::coroutine_handle<>> waiting;
};

TEST(Logins, CountGuessesThatComeAtOnceLikeOthers) {
    ManualClock clock;
    SlowWorker worker;
    Logins logins(clock, worker, {{"ann", hash_of_secret, "acme"}});
    std::vector<LoginAnswer> answers(1'000);
    {
        engine::Scope scope;
        for (LoginAnswer& answer : answers)
            scope.spawn(ask(&logins, "192.0.2.1", "ann", "guess", &answer));
        size_t hashed = 0;
        for (; !worker.waiting.empty(); ++hashed) {
            EXPECT_EQ(worker.backlog(), 1u) << "one at a time";
            const auto next = worker.waiting.front();
            worker.waiting.pop_front();
            next.resume();
        }
        EXPECT_EQ(hashed, LoginGuard::peer_failures_free);
        EXPECT_EQ(scope.running(), 0u);
    }
    const auto count = [&](Kind kind) {
        return std::ranges::count(answers, kind, &LoginAnswer::kind);
    };
    EXPECT_EQ(count(Kind::wrong), ptrdiff_t{LoginGuard::peer_failures_free});
    EXPECT_EQ(count(Kind::busy), ptrdiff_t(1'000 - Logins::waiting_max - 1));
}

TEST(PasswordHash, IsSaltedAndFitsItsPasswordOnly) {
    const auto one = hash_password("correct horse"), other = hash_password("correct horse");
    ASSERT_TRUE(one && other);
    EXPECT_NE(*one, *other);
    EXPECT_FALSE(wrong_password_hash(*one));
    EXPECT_TRUE(password_fits("correct horse", *one));
    for (const char* wrong : {"correct horse ", "correct hors", "", "Correct horse"})
        EXPECT_FALSE(password_fits(wrong, *one)) << wrong;
    EXPECT_FALSE(password_fits(std::string("correct horse\0x", 15), *one));
}

TEST(PasswordHash, RefusesWhatIsNone) {
    EXPECT_FALSE(hash_password(""));
    EXPECT_FALSE(hash_password(std::string(256, 'x')));
    EXPECT_FALSE(hash_password(std::string("a\0b", 3)));
    for (const char* wrong :
         {"", "secret", "*", "!", "$1$salt$hash", "ab01FAX.bQRSU", "$6$", "$y$"})
        EXPECT_TRUE(wrong_password_hash(wrong)) << wrong;
    EXPECT_FALSE(wrong_password_hash(hash_of_secret));
    EXPECT_FALSE(password_fits("secret", "*0"));
    EXPECT_EQ(make_secret().size(), 32u);
    EXPECT_NE(make_secret(), make_secret());
}

TEST(ApiKeys, BelongToTenants) {
    const ApiKeys keys(
        {{"acme", plain_sha256("key-a")}, {"none", ""}, {"beta", plain_sha256("key-b")}});
    EXPECT_FALSE(keys.empty());
    EXPECT_EQ(keys.tenant_of("key-a"), "acme");
    EXPECT_EQ(keys.tenant_of("key-b"), "beta");
    EXPECT_FALSE(keys.tenant_of(""));
    EXPECT_FALSE(keys.tenant_of("key-c"));
    EXPECT_TRUE(ApiKeys({{"none", ""}}).empty());
}

TEST(PeerNetwork, IsAnAddressOrASlash64) {
    EXPECT_EQ(peer_network("192.0.2.1:25"), "192.0.2.1");
    EXPECT_EQ(peer_network("[::ffff:192.0.2.1]:25"), "192.0.2.1");
    EXPECT_EQ(peer_network("[2001:db8:1:2:3:4:5:6]:25"), "2001:db8:1:2::/64");
    EXPECT_EQ(peer_network("unix"), "local");
}

}  // namespace
}  // namespace ingest
