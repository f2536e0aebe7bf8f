// Both ends of TLS over a pair of streams in memory, cut as the test wants.
#include "engine/net/tls_stream.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include "engine/reactor/scope.h"
#include "tests/engine/net/support/certificates.h"
#include "tests/engine/net/support/memory_pair.h"

namespace engine::test {
namespace {

constexpr char host[] = "mx.x.test";

const Authority& authority() {
    static const Authority made;
    return made;
}

using Context = std::shared_ptr<const TlsContext>;
Context client_context(TlsVersion least = TlsVersion::tls12) {
    return TlsContext::client({.ca_file = authority().file(), .least = least}).value();
}
Context server_context(const Authority::Wanted& wanted = {.names = "DNS:mx.x.test"}) {
    const CertificateFiles files = authority().issue(host, wanted);
    return TlsContext::server({files.certificate, files.key}).value();
}
/// For what is about the older version only: our own side would speak the newer.
void at_most_tls12(const Context& context) {
    SSL_CTX_set_max_proto_version(context->raw(), TLS1_2_VERSION);
}

/// A client and a server with a handshake behind them.
struct Ends {
    explicit Ends(Context server, size_t segment = SIZE_MAX, Context client = client_context())
        : pair(segment), client(pair.a(), std::move(client)), server(pair.b(), std::move(server)) {}

    static Task<> handshake(TlsStream& stream, std::optional<Result<void>>& done) {
        done = co_await stream.handshake();
    }
    void shake_hands(const TlsDemand& demand = {}, const char* name = host) {
        client.expect(name, demand, sessions, &clock);
        scope.spawn(handshake(server, server_done));
        scope.spawn(handshake(client, client_done));
        pair.run();
        ASSERT_TRUE(client_done && server_done) << "a handshake did not end";
    }
    bool both() const { return *client_done && *server_done; }

    MemoryPair pair;
    FixedClock clock;
    TlsSessions* sessions = nullptr;
    TlsStream client, server;
    Scope scope;
    std::optional<Result<void>> client_done, server_done;
};

Task<> send(Stream& stream, std::string text, std::optional<Result<void>>& done) {
    const std::string_view chunks[] = {std::string_view(text).substr(0, text.size() / 3), "",
                                       std::string_view(text).substr(text.size() / 3)};
    done = co_await stream.write(chunks);
}
Task<> receive(Stream& stream, size_t size, std::string& text, std::optional<Error>& error) {
    while (text.size() < size) {
        const auto bytes = co_await stream.read();
        if (!bytes) {
            error = bytes.error();
            co_return;
        }
        text += *bytes;
    }
}

void exchange(Ends& ends, Stream& from, Stream& to, size_t size) {
    std::string text(size, 'x');
    for (size_t i = 0; i < size; i += 7) text[i] = static_cast<char>('a' + i % 26);
    std::optional<Result<void>> sent;
    std::string got;
    std::optional<Error> error;
    ends.scope.spawn(receive(to, size, got, error));
    ends.scope.spawn(send(from, text, sent));
    ends.pair.run();
    EXPECT_FALSE(error) << error->what;
    EXPECT_EQ(got, text);
    EXPECT_TRUE(sent && *sent);
}

class TlsStreamInSegments : public testing::TestWithParam<size_t> {};

TEST_P(TlsStreamInSegments, CarriesWhatIsSentBothWays) {
    Ends ends(server_context(), GetParam());
    ends.shake_hands();
    ASSERT_TRUE(ends.both());
    const size_t much = GetParam() < 100 ? 40'000 : 300'000;
    for (const size_t size : {size_t{1}, size_t{100}, size_t{16384}, size_t{16385}, much}) {
        exchange(ends, ends.client, ends.server, size);
        exchange(ends, ends.server, ends.client, size);
    }
}
INSTANTIATE_TEST_SUITE_P(Octets, TlsStreamInSegments, testing::Values(1, 2, 7, 1000, SIZE_MAX));

TEST(TlsStream, ShortChunksBecomeOneRecord) {
    Ends ends(server_context());
    ends.shake_hands();
    const size_t before = ends.pair.a().written().size();
    exchange(ends, ends.client, ends.server, 3000);
    EXPECT_LT(ends.pair.a().written().size() - before, 3000U + 40);
}

TEST(TlsStream, ReadsWhileItWritesMoreThanTheOtherSideTakes) {
    Ends ends(server_context(), 100);
    ends.shake_hands();
    std::string at_server, at_client;
    std::optional<Result<void>> from_client, from_server;
    std::optional<Error> error;
    ends.scope.spawn(receive(ends.client, 200'000, at_client, error));
    ends.scope.spawn(receive(ends.server, 200'000, at_server, error));
    ends.scope.spawn(send(ends.client, std::string(200'000, 'c'), from_client));
    ends.scope.spawn(send(ends.server, std::string(200'000, 's'), from_server));
    ends.pair.run();
    EXPECT_FALSE(error);
    EXPECT_EQ(at_server, std::string(200'000, 'c'));
    EXPECT_EQ(at_client, std::string(200'000, 's'));
}

TEST(TlsStream, SaysWhatItHas) {
    Ends ends(server_context());
    ends.shake_hands();
    ASSERT_TRUE(ends.both());
    EXPECT_EQ(to_string(ends.client.result()), "TLSv1.3 TLS_AES_256_GCM_SHA384 verified");
    EXPECT_EQ(to_string(ends.server.result()), "TLSv1.3 TLS_AES_256_GCM_SHA384 encrypted");
}

class CountingWorker final : public Worker {
  public:
    Task<> run(std::move_only_function<void()> work) override {
        ++runs;
        work();
        co_return;
    }
    size_t backlog() const override { return 0; }
    int runs = 0;
};

Task<> handshake_on(TlsStream& stream, Worker& worker, std::optional<Result<void>>& done) {
    done = co_await stream.handshake(&worker);
}

TEST(TlsStream, DoesTheArithmeticOnAWorkerWhenItIsGivenOne) {
    Ends ends(server_context(), 100);
    CountingWorker worker;
    ends.client.expect(host, {}, nullptr, nullptr);
    ends.scope.spawn(handshake_on(ends.server, worker, ends.server_done));
    ends.scope.spawn(handshake_on(ends.client, worker, ends.client_done));
    ends.pair.run();
    ASSERT_TRUE(ends.client_done && ends.server_done && ends.both());
    EXPECT_GT(worker.runs, 3);
    exchange(ends, ends.client, ends.server, 100);
}

struct Bad {
    const char* name;
    Authority::Wanted wanted;
    const char* expected_host = host;
    TlsFailure failure;
    const char* words;
};
class UnprovenCertificate : public testing::TestWithParam<Bad> {};

TEST_P(UnprovenCertificate, EncryptsAllTheSameAndSaysWhy) {
    Ends ends(server_context(GetParam().wanted));
    ends.shake_hands({}, GetParam().expected_host);
    ASSERT_TRUE(ends.both());
    const TlsResult& result = ends.client.result();
    EXPECT_EQ(result.level, TlsLevel::encrypted);
    EXPECT_EQ(to_string(result.failure), to_string(GetParam().failure));
    EXPECT_TRUE(result.why.contains(GetParam().words)) << result.why;
    exchange(ends, ends.client, ends.server, 100);
}
INSTANTIATE_TEST_SUITE_P(
    Certificates, UnprovenCertificate,
    testing::Values(
        Bad{"expired",
            {.names = "DNS:mx.x.test", .from_seconds = -9000, .to_seconds = -60},
            host,
            TlsFailure::expired,
            "expired"},
        Bad{"not_yet",
            {.names = "DNS:mx.x.test", .from_seconds = 3600},
            host,
            TlsFailure::expired,
            "not yet valid"},
        Bad{"self_signed",
            {.names = "DNS:mx.x.test", .self_signed = true},
            host,
            TlsFailure::not_trusted,
            "self"},
        Bad{"other_name", {.names = "DNS:mx.y.test"}, host, TlsFailure::wrong_name, "mismatch"},
        Bad{"only_common_name", {.names = ""}, host, TlsFailure::wrong_name, "mismatch"},
        Bad{"part_of_a_label",
            {.names = "DNS:m*.x.test"},
            host,
            TlsFailure::wrong_name,
            "mismatch"},
        Bad{"other_address",
            {.names = "IP:192.0.2.1"},
            "[192.0.2.2]",
            TlsFailure::wrong_name,
            "mismatch"},
        Bad{"name_for_an_address",
            {.names = "DNS:192.0.2.2"},
            "[192.0.2.2]",
            TlsFailure::wrong_name,
            "mismatch"}),
    [](const auto& info) { return info.param.name; });

TEST(TlsStream, VerifiesWildcardsAddressesAndNamesThatTheDemandAdds) {
    const auto level = [](const char* names, const char* expected, const TlsDemand& demand) {
        Ends ends(server_context({.names = names}));
        ends.shake_hands(demand, expected);
        return ends.client.result().level;
    };
    EXPECT_EQ(level("DNS:*.x.test", host, {}), TlsLevel::verified);
    EXPECT_EQ(level("IP:192.0.2.1", "[192.0.2.1]", {}), TlsLevel::verified);
    EXPECT_EQ(level("IP:2001:db8::1", "[2001:db8::1]", {}), TlsLevel::verified);
    EXPECT_EQ(level("DNS:x.test", host, {.names = {"x.test"}}), TlsLevel::verified);
}

TEST(TlsStream, HostsMayBeTrustedByTheirOwnCertificate) {
    const CertificateFiles files =
        authority().issue(host, {.names = "DNS:mx.x.test", .self_signed = true});
    Ends ends(TlsContext::server({files.certificate, files.key}).value(), SIZE_MAX,
              TlsContext::client({.ca_file = files.certificate}).value());
    ends.shake_hands();
    EXPECT_EQ(ends.client.result().level, TlsLevel::verified);
}

/// DANE: what each kind of record says of a certificate that nobody else would believe.
TlsResult with_tlsa(const Authority::Wanted& wanted, bool right, uint8_t usage) {
    const CertificateFiles files = authority().issue("other", wanted);
    X509* certificate = Authority::read(files.certificate);
    std::string digest =
        Authority::key_digest(usage == 3 ? certificate : authority().certificate());
    X509_free(certificate);
    if (!right) digest[5] = static_cast<char>(digest[5] ^ 1);
    Ends ends(TlsContext::server({files.certificate, files.key}).value(), SIZE_MAX,
              TlsContext::client({.ca_file = files.certificate}).value());
    ends.shake_hands({.least = TlsLevel::dane, .tlsa = {{usage, 1, 1, digest}}});
    EXPECT_TRUE(ends.both());
    return ends.client.result();
}

TEST(TlsStream, DaneEndEntityNeedsNeitherNameNorDateNorAuthority) {
    const Authority::Wanted bare{
        .names = "", .from_seconds = -99, .to_seconds = -9, .self_signed = true};
    EXPECT_EQ(with_tlsa(bare, true, 3).level, TlsLevel::dane);
    const TlsResult wrong = with_tlsa(bare, false, 3);
    EXPECT_EQ(wrong.level, TlsLevel::encrypted);
    EXPECT_EQ(wrong.failure, TlsFailure::tlsa_mismatch);
    EXPECT_EQ(wrong.why, "the certificate matches no TLSA record of the host");
}

TEST(TlsStream, CertificateThatTheSystemTrustsIsNoDaneMatch) {
    const TlsResult result = with_tlsa({.names = "DNS:mx.x.test"}, false, 3);
    EXPECT_EQ(result.level, TlsLevel::encrypted);
}

TEST(TlsStream, SecondConnectionResumesAndStaysVerified) {
    const Context server = server_context();
    const Context client = client_context();
    TlsSessions sessions;
    for (int i = 0; i < 4; ++i) {
        Ends ends(server, 50, client);
        ends.sessions = &sessions;
        ends.shake_hands();
        ASSERT_TRUE(ends.both());
        EXPECT_EQ(ends.client.result().resumed, i > 0);
        EXPECT_EQ(ends.server.result().resumed, i > 0);
        EXPECT_EQ(ends.client.result().level, TlsLevel::verified);
        exchange(ends, ends.server, ends.client, 10);  // brings the tickets
    }
    EXPECT_GT(sessions.size(), 0U);
    EXPECT_LE(sessions.size(), TlsSessions::per_host_max);
}

TEST(TlsStream, ResumesWithTls12Too) {
    const Context server = server_context();
    at_most_tls12(server);
    const Context client = client_context();
    TlsSessions sessions;
    for (int i = 0; i < 3; ++i) {
        Ends ends(server, SIZE_MAX, client);
        ends.sessions = &sessions;
        ends.shake_hands();
        EXPECT_EQ(ends.client.result().resumed, i > 0);
        EXPECT_EQ(ends.client.result().version, "TLSv1.2");
        EXPECT_EQ(sessions.size(), 1U);
    }
}

TEST(TlsStream, UnprovenHostStaysUnprovenWhenResumed) {
    const Context server = server_context({.names = "DNS:other.test"});
    const Context client = client_context();
    TlsSessions sessions;
    for (int i = 0; i < 2; ++i) {
        Ends ends(server, SIZE_MAX, client);
        ends.sessions = &sessions;
        ends.shake_hands();
        EXPECT_EQ(ends.client.result().resumed, i > 0);
        EXPECT_EQ(ends.client.result().failure, TlsFailure::wrong_name);
        exchange(ends, ends.server, ends.client, 10);
    }
}

TEST(TlsStream, SessionIsNotUsedForAnotherDemand) {
    const Context server = server_context();
    const Context client = client_context();
    TlsSessions sessions;
    const auto resumed = [&](const TlsDemand& demand) {
        Ends ends(server, SIZE_MAX, client);
        ends.sessions = &sessions;
        ends.shake_hands(demand);
        exchange(ends, ends.server, ends.client, 10);
        return ends.client.result().resumed;
    };
    EXPECT_FALSE(resumed({}));
    EXPECT_FALSE(resumed({.tlsa = {{3, 1, 1, std::string(32, 'x')}}}));
    EXPECT_FALSE(resumed({.names = {"x.test"}}));
    EXPECT_TRUE(resumed({}));
}

TEST(TlsStream, SessionsAreForgottenAfterAnHour) {
    const Context server = server_context();
    const Context client = client_context();
    TlsSessions sessions;
    FixedClock clock;
    Ends first(server, SIZE_MAX, client);
    first.sessions = &sessions;
    first.shake_hands();
    exchange(first, first.server, first.client, 10);
    EXPECT_TRUE(sessions.take(host, first.clock.now() + 59min));
    EXPECT_FALSE(sessions.take(host, first.clock.now() + 61min));
    EXPECT_EQ(sessions.size(), 0U);
}

TEST(TlsStream, GoodbyeOfThePeerIsAnOrderlyEnd) {
    Ends ends(server_context());
    ends.shake_hands();
    std::string got;
    std::optional<Error> error;
    ends.scope.spawn(receive(ends.client, 1, got, error));
    ends.scope.spawn(ends.server.say_goodbye());
    ends.pair.run();
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code, Errc::closed);
    ends.scope.spawn(ends.client.say_goodbye());  // ours may still go out, and hangs on nobody
    ends.pair.run();
}

TEST(TlsStream, EndWithoutGoodbyeIsAnEndAndNoHang) {
    Ends ends(server_context());
    ends.shake_hands();
    std::string got;
    std::optional<Error> error;
    ends.scope.spawn(receive(ends.client, 1, got, error));
    ends.pair.b().close();
    ends.pair.run();
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code, Errc::closed);
}

TEST(TlsStream, ForgedOctetEndsTheConnection) {
    Ends ends(server_context());
    ends.shake_hands();
    std::string got;
    std::optional<Error> error;
    std::optional<Result<void>> sent;
    ends.pair.a().put(std::string("\x17\x03\x03\x00\x20", 5) + std::string(32, 'x'));
    ends.scope.spawn(receive(ends.client, 1, got, error));
    ends.pair.run();
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code, Errc::reset);
    ends.scope.spawn(send(ends.client, "more", sent));
    ends.pair.run();
    EXPECT_FALSE(*sent) << "nothing may follow";
}

class HandshakeCut : public testing::TestWithParam<TlsVersion> {};

/// The line breaks after every octet of either side: an error on both, never a hang or a success
/// that is none.
TEST_P(HandshakeCut, AnywhereIsAnErrorAndNoHang) {
    const Context server = server_context();
    if (GetParam() == TlsVersion::tls12) at_most_tls12(server);
    const Context client = client_context();
    Ends whole(server, SIZE_MAX, client);
    whole.shake_hands();
    const size_t from_client = whole.pair.a().written().size();
    const size_t from_server = whole.pair.b().written().size();
    for (size_t at = 0; at < from_client; at += at < 20 ? 1 : 23) {
        Ends ends(server, SIZE_MAX, client);
        ends.pair.a().cut_after(at);
        ends.shake_hands();
        EXPECT_FALSE(*ends.client_done) << at;
        EXPECT_FALSE(*ends.server_done) << at;
    }
    for (size_t at = 0; at < from_server; at += at < 20 ? 1 : 41) {
        Ends ends(server, SIZE_MAX, client);
        ends.pair.b().cut_after(at);
        ends.shake_hands();
        EXPECT_FALSE(*ends.server_done) << at;
    }
}
INSTANTIATE_TEST_SUITE_P(Versions, HandshakeCut,
                         testing::Values(TlsVersion::tls12, TlsVersion::tls13));

TEST(TlsStream, SilentPeerEndsTheHandshakeAtItsDeadline) {
    MemoryPair pair;
    TlsStream client(pair.a(), client_context());
    client.expect(host, {}, nullptr, nullptr);
    std::optional<Result<void>> done;
    Scope scope;
    scope.spawn(Ends::handshake(client, done));
    pair.run();
    ASSERT_TRUE(done);
    EXPECT_EQ(done->error().code, Errc::timeout);
}

TEST(TlsStream, PeerThatSpeaksPlainlyIsNamed) {
    MemoryPair pair;
    TlsStream client(pair.a(), client_context());
    client.expect(host, {}, nullptr, nullptr);
    std::optional<Result<void>> done;
    Scope scope;
    pair.a().put("250 hello there\r\n");
    scope.spawn(Ends::handshake(client, done));
    pair.run();
    ASSERT_TRUE(done && !*done);
    EXPECT_EQ(done->error().code, Errc::protocol);
    EXPECT_EQ(done->error().what, "the TLS handshake failed: what came is not TLS");
}

TEST(TlsStream, RefusesAnOlderVersionThanItMaySpeak) {
    const Context server = server_context();
    at_most_tls12(server);
    Ends ends(server, SIZE_MAX, client_context(TlsVersion::tls13));
    ends.shake_hands();
    ASSERT_FALSE(*ends.client_done);
    EXPECT_TRUE(ends.client_done->error().what.contains("no version of TLS that both sides speak"))
        << ends.client_done->error().what;
}

TEST(TlsContext, SaysWhichFileIsWrong) {
    const CertificateFiles files = authority().issue(host, {.names = "DNS:mx.x.test"});
    const CertificateFiles others = authority().issue(host, {.names = "DNS:mx.x.test"});
    const auto what = [](const auto& result) { return result ? "fine" : result.error().what; };
    EXPECT_EQ(what(TlsContext::server({files.certificate, files.key})), "fine");
    EXPECT_EQ(what(TlsContext::server({"/nowhere.pem", files.key})),
              "no certificate in /nowhere.pem: No such file or directory; give a readable file in "
              "PEM, the host's own first");
    EXPECT_EQ(what(TlsContext::server({files.certificate, others.key})),
              "no key for " + files.certificate + " in " + others.key +
                  ": key values mismatch; give its private key in PEM, unencrypted");
    EXPECT_EQ(what(TlsContext::client({.ca_file = files.key})),
              "no certificates of authorities in " + files.key +
                  ": no certificate or crl found; give a readable file in PEM");
}

}  // namespace
}  // namespace engine::test
