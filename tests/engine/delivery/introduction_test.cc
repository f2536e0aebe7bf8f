// What a connection may carry after its introduction: hosts with and without TLS, honest and not,
// against each demand.
#include "engine/delivery/introduction.h"

#include <gtest/gtest.h>

#include "engine/reactor/scope.h"
#include "tests/engine/net/support/memory_pair.h"
#include "tests/engine/smtp/support/tls_host.h"

namespace engine::test {
namespace {

constexpr char secret[] = "c0rrect-horse";

struct Introduced {
    std::expected<void, Verdict> result;
    TlsResult tls;
    std::vector<std::string> heard;  // by the host
    std::string wire;                // what it was sent, as it went over the line
};

std::shared_ptr<const Credentials> credentials() {
    auto made = std::make_shared<Credentials>();
    made->user = "ann";
    made->password = Secret(secret);
    made->mechanisms = static_cast<uint8_t>(AuthMechanism::plain);
    return made;
}

Task<> talk(Introduction how, std::expected<void, Verdict>& result, Stream& line) {
    Session* session = how.session;
    result = co_await introduce(std::move(how));
    if (result) co_await session->quit();
    line.close();
}

Introduced introduce_to(TlsHost host, const TlsDemand& demand, Introduction how = {}) {
    MemoryPair pair(8);
    FixedClock clock;
    Session session(pair.a(), clock, {});
    how.session = &session;
    how.ehlo_name = "out.x.test";
    how.tls_first = host.implicit;
    how.tls = {.context = client_context(), .host = "mx.x.test", .demand = demand};
    Introduced introduced;
    Scope scope;
    scope.spawn(host.serve(pair.b()));
    scope.spawn(talk(std::move(how), introduced.result, pair.a()));
    pair.run();
    EXPECT_EQ(scope.running(), 0U) << "somebody waits for ever";
    introduced.tls = session.tls();
    introduced.heard = host.heard;
    introduced.wire = pair.a().written();
    return introduced;
}

const TlsDemand opportunistic{};
const TlsDemand never{.use = TlsDemand::Use::never};
const TlsDemand required{.least = TlsLevel::encrypted, .policy = "tls = \"required\""};
const TlsDemand verified{.least = TlsLevel::verified, .policy = "tls = \"verified\""};
const TlsDemand dane{.least = TlsLevel::dane,
                     .tlsa = {{3, 1, 1, std::string(32, 'x')}},
                     .policy = "DANE of mx.x.test"};
const TlsDemand require_tls{
    .least = TlsLevel::verified, .require_tls = true, .policy = "REQUIRETLS"};

constexpr char stripped[] = "250-mx.x.test\r\n250 SIZE 1000\r\n";

TEST(Introduction, TakesTlsWhereItIsOffered) {
    const Introduced introduced = introduce_to({}, opportunistic);
    EXPECT_TRUE(introduced.result);
    EXPECT_EQ(introduced.tls.level, TlsLevel::verified);
}

TEST(Introduction, NoTlsWhereTheOperatorHasRuledItOut) {
    const Introduced introduced = introduce_to({}, never);
    EXPECT_TRUE(introduced.result);
    EXPECT_EQ(introduced.tls.level, TlsLevel::plain);
    EXPECT_EQ(introduced.heard, (std::vector<std::string>{"EHLO out.x.test", "QUIT"}));
}

TEST(Introduction, HostThatRefusesTlsInOrderIsSpokenToInPlaintextWhereNobodyDemandsMore) {
    const Introduced introduced = introduce_to({.reply = "454 4.7.0 later\r\n"}, opportunistic);
    EXPECT_TRUE(introduced.result);
    EXPECT_EQ(introduced.tls.level, TlsLevel::plain);
}

struct Bad {
    const char* name;
    TlsHost host;
};
std::vector<Bad> bad_hosts() {
    return {{"stripped", {.before = stripped}},      {"refuses", {.reply = "454 4.7.0 later\r\n"}},
            {"closes", {.reply = "421 bye\r\n"}},    {"garbage", {.in_place_of_it = "250 ok\r\n"}},
            {"cut", {.in_place_of_it = "\x16\x03"}}, {"injected", {.behind_it = "250 ok\r\n"}},
            {"other_reply", {.reply = "250 ok\r\n"}}};
}

TEST(Introduction, NothingFollowsInPlaintextWhereTlsIsDemanded) {
    for (const TlsDemand& demand : {required, verified, dane, require_tls}) {
        for (const Bad& bad : bad_hosts()) {
            SCOPED_TRACE(std::string(bad.name) + ", " + demand.policy);
            const Introduced introduced =
                introduce_to(bad.host, demand, {.credentials = credentials()});
            ASSERT_FALSE(introduced.result);
            const Verdict& verdict = introduced.result.error();
            EXPECT_EQ(verdict.stage, Stage::tls);
            EXPECT_EQ(verdict.kind, Verdict::Kind::deferred);
            EXPECT_TRUE(verdict.reply.text.contains(", and " + demand.policy + " demands TLS"))
                << verdict.reply.text;
            for (const std::string& line : introduced.heard) {
                EXPECT_TRUE(line == "EHLO out.x.test" || line == "STARTTLS" || line == "QUIT")
                    << line;
            }
        }
    }
}

/// Another connection is tried without TLS then, so the failure must say that it was about TLS.
TEST(Introduction, FailuresOfOpportunisticTlsAreToldApart) {
    for (const Bad& bad : bad_hosts()) {
        const Introduced introduced = introduce_to(bad.host, opportunistic);
        const std::string name = bad.name;
        if (name == "stripped" || name == "refuses") {
            EXPECT_TRUE(introduced.result) << name;
            continue;
        }
        ASSERT_FALSE(introduced.result) << name;
        EXPECT_EQ(introduced.result.error().stage, Stage::tls) << name;
    }
}

TlsHost with_certificate(const Authority::Wanted& wanted) {
    const CertificateFiles files = authority().issue("mx.x.test", wanted);
    return {.context = TlsContext::server({files.certificate, files.key}).value()};
}

TEST(Introduction, BadCertificatesAreGoodEnoughUnlessAValidOneIsDemanded) {
    const std::pair<Authority::Wanted, const char*> bad[] = {
        {{.names = "DNS:mx.x.test", .from_seconds = -99, .to_seconds = -9}, "expired"},
        {{.names = "DNS:mx.x.test", .self_signed = true}, "self-signed"},
        {{.names = "DNS:mx.y.test"}, "mismatch"}};
    for (const auto& [wanted, word] : bad) {
        const TlsHost host = with_certificate(wanted);
        EXPECT_TRUE(introduce_to(host, opportunistic).result) << word;
        EXPECT_TRUE(introduce_to(host, required).result) << word;
        const Introduced refused = introduce_to(host, verified);
        ASSERT_FALSE(refused.result) << word;
        EXPECT_EQ(refused.result.error().failure, Failure::tls_untrusted) << word;
        const std::string& text = refused.result.error().reply.text;
        EXPECT_TRUE(text.contains(word)) << text;
        EXPECT_TRUE(text.ends_with(", and tls = \"verified\" demands one that does")) << text;
    }
    EXPECT_TRUE(introduce_to({}, verified).result);
    EXPECT_EQ(introduce_to({}, dane).result.error().failure, Failure::tls_untrusted);
}

TEST(Introduction, RequireTlsNeedsAHostThatOffersIt) {
    const Introduced without = introduce_to({}, require_tls);
    ASSERT_FALSE(without.result);
    EXPECT_EQ(without.result.error().reply.code, 550);
    EXPECT_EQ(without.result.error().reply.enhanced, "5.7.30");
    EXPECT_EQ(without.result.error().failure, Failure::cannot_carry);
    EXPECT_TRUE(introduce_to({.after = "250-mx\r\n250 REQUIRETLS\r\n"}, require_tls).result);
}

TEST(Introduction, PasswordsGoOverTlsOrToThisMachineOnly) {
    TlsHost relay{.after = "250-mx\r\n250 AUTH PLAIN\r\n"};
    const Introduced safe = introduce_to(relay, opportunistic, {.credentials = credentials()});
    EXPECT_TRUE(safe.heard.at(3).starts_with("AUTH PLAIN ")) << safe.heard.at(3);

    TlsHost open{.before = "250-mx\r\n250 AUTH PLAIN\r\n"};
    const Introduced refused = introduce_to(open, opportunistic, {.credentials = credentials()});
    ASSERT_FALSE(refused.result);
    EXPECT_EQ(refused.result.error().failure, Failure::no_credentials);
    EXPECT_FALSE(refused.wire.contains("AUTH"));

    const Introduced here = introduce_to(
        open, opportunistic, {.credentials = credentials(), .line = Introduction::Line::closed});
    EXPECT_TRUE(here.wire.contains("AUTH PLAIN"));
}

TEST(Introduction, TlsFromTheFirstOctetIsHeldToTheSameDemands) {
    EXPECT_TRUE(introduce_to({.implicit = true}, verified).result);
    TlsHost host = with_certificate({.names = "DNS:mx.y.test"});
    host.implicit = true;
    EXPECT_TRUE(introduce_to(host, opportunistic).result);
    EXPECT_FALSE(introduce_to(host, verified).result);
}

}  // namespace
}  // namespace engine::test
