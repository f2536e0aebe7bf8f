// STARTTLS against hosts that do it right, refuse it, or have somebody on the line.
#include "engine/smtp/starttls.h"

#include <gtest/gtest.h>

#include "engine/reactor/scope.h"
#include "engine/smtp/session.h"
#include "tests/engine/net/support/memory_pair.h"
#include "tests/engine/smtp/support/tls_host.h"

namespace engine::test {
namespace {

struct Attempted {
    explicit Attempted(size_t segment = SIZE_MAX) : pair(segment), session(pair.a(), clock, {}) {}

    Task<> talk(bool implicit, TlsDemand demand) {
        TlsStart start{.context = client_context(), .host = "mx.x.test", .demand = demand};
        if (implicit) begun = co_await session.begin_with_tls(std::move(start));
        if (!implicit || begun) greeted = co_await session.greet("out.x.test");
        if (!implicit && greeted) begun = co_await session.start_tls(std::move(start));
        co_await session.quit();
        pair.a().close();
    }
    void play(TlsHost& host, const TlsDemand& demand = {}) {
        scope.spawn(host.serve(pair.b()));
        scope.spawn(talk(host.implicit, demand));
        pair.run();
        EXPECT_EQ(scope.running(), 0U) << "somebody waits for ever";
    }
    MemoryPair pair;
    FixedClock clock;
    Session session;
    Scope scope;
    std::expected<void, Verdict> greeted, begun;
};

class StartTls : public ::testing::TestWithParam<size_t> {};

TEST_P(StartTls, ForgetsWhatWasSaidBeforeAndGreetsAgain) {
    Attempted run(GetParam());
    TlsHost host;
    run.play(host);
    ASSERT_TRUE(run.begun);
    EXPECT_EQ(run.session.tls().level, TlsLevel::verified);
    EXPECT_TRUE(run.session.capabilities().pipelining);
    EXPECT_FALSE(run.session.capabilities().size) << "offered in plaintext";
    EXPECT_FALSE(run.session.capabilities().starttls) << "offered in plaintext";
    const std::vector<std::string> heard = {"EHLO out.x.test", "STARTTLS", "EHLO out.x.test",
                                            "QUIT"};
    EXPECT_EQ(host.heard, heard);
}

TEST_P(StartTls, MayStandBeforeTheGreeting) {
    Attempted run(GetParam());
    TlsHost host{.implicit = true};
    run.play(host);
    ASSERT_TRUE(run.begun && run.greeted);
    EXPECT_EQ(run.session.tls().level, TlsLevel::verified);
    EXPECT_TRUE(run.session.capabilities().pipelining);
}
INSTANTIATE_TEST_SUITE_P(Octets, StartTls, ::testing::Values(1, 3, SIZE_MAX));

TEST(StartTls, RefusedInOrderLeavesTheSessionAsItWas) {
    for (const char* reply : {"454 4.7.0 not now\r\n", "502 5.5.1 what?\r\n", "500 no\r\n"}) {
        Attempted run;
        TlsHost host{.reply = reply};
        run.play(host);
        ASSERT_FALSE(run.begun);
        EXPECT_EQ(run.begun.error().failure, Failure::no_tls);
        EXPECT_EQ(run.begun.error().stage, Stage::tls);
        EXPECT_TRUE(run.session.capabilities().size);
        EXPECT_EQ(host.heard.back(), "QUIT") << "the session could have gone on";
    }
}

TEST(StartTls, OtherwiseItIsTheEndOfTheSession) {
    for (const char* reply :
         {"421 4.7.0 bye\r\n", "250 ok\r\n", "354 go\r\n", "HTTP/1.1 400\r\n"}) {
        Attempted run;
        TlsHost host{.reply = reply};
        run.play(host);
        ASSERT_FALSE(run.begun) << reply;
        EXPECT_NE(run.begun.error().failure, Failure::no_tls) << reply;
        EXPECT_EQ(host.heard.back(), "STARTTLS") << reply;
    }
}

TEST(StartTls, HandshakeThatIsNoneIsNamed) {
    Attempted run(8);  // the reply alone is one segment
    TlsHost host{.in_place_of_it = "250 ok\r\n"};
    run.play(host);
    ASSERT_FALSE(run.begun);
    EXPECT_EQ(run.begun.error().failure, Failure::tls_failed);
    EXPECT_EQ(run.begun.error().reply.text, "the TLS handshake failed: what came is not TLS");
}

TEST(StartTls, HostThatClosesInTheHandshakeIsNamed) {
    Attempted run(8);  // the reply alone is one segment
    TlsHost host{.in_place_of_it = "\x16"};
    run.play(host);
    ASSERT_FALSE(run.begun);
    EXPECT_EQ(run.begun.error().failure, Failure::tls_failed);
    EXPECT_EQ(run.begun.error().reply.text, "the host closed the connection in the TLS handshake");
}

/// CVE-2011-0411 and its kin: whatever stands behind the 220, however it is cut, none of it is
/// taken for something that came through TLS, and nothing but a handshake follows ours.
TEST(StartTls, NothingInjectedBehindTheReplyIsBelieved) {
    size_t variants = 0;
    const std::string replies[] = {after_tls,       "250 PIPELINING\r\n", "250", "\r\n", "x",
                                   "220 again\r\n", std::string("\0", 1)};
    for (const size_t segment : {size_t{1}, size_t{3}, size_t{9}, size_t{100}, SIZE_MAX}) {
        for (const std::string& injected : replies) {
            for (const size_t repeated : {1, 2, 64, 4096}) {
                if (segment < 9 && repeated > 64) continue;
                std::string junk;
                for (size_t i = 0; i < repeated; ++i) junk += injected;
                for (const bool with_the_reply : {true, false}) {
                    Attempted run(segment);
                    TlsHost host;
                    (with_the_reply ? host.behind_it : host.in_place_of_it) = junk;
                    run.play(host);
                    ++variants;
                    ASSERT_FALSE(run.begun) << variants;
                    EXPECT_NE(run.begun.error().failure, Failure::no_tls) << variants;
                    EXPECT_FALSE(run.session.capabilities().pipelining) << variants;
                    EXPECT_EQ(host.heard.back(), "STARTTLS") << variants;
                    const std::string& sent = run.pair.a().written();
                    const std::string_view rest =
                        std::string_view(sent).substr(sent.find("STARTTLS\r\n") + 10);
                    EXPECT_TRUE(rest.empty() || rest.starts_with("\x16\x03")) << variants;
                }
            }
        }
    }
    EXPECT_GE(variants, 200U);
}

}  // namespace
}  // namespace engine::test
