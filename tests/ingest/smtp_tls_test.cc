// STARTTLS and implicit TLS on the server, against a client that does it right and against whoever
// stands between the two.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "engine/message/encode.h"
#include "engine/net/line_reader.h"
#include "engine/net/tls_stream.h"
#include "tests/engine/net/support/certificates.h"
#include "tests/engine/net/support/memory_pair.h"
#include "tests/ingest/support/smtp_harness.h"

namespace ingest::smtp_testing {
namespace {

using engine::Stream;
using engine::Task;
using engine::test::MemoryPair;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

const engine::test::Authority& authority() {
    static const engine::test::Authority made;
    return made;
}
std::shared_ptr<const engine::TlsContext> server_context() {
    static const auto made = [] {
        const auto files = authority().issue("out1.example", {.names = "DNS:out1.example"});
        return engine::TlsContext::server({files.certificate, files.key}).value();
    }();
    return made;
}
std::shared_ptr<const engine::TlsContext> client_context() {
    static const auto made = engine::TlsContext::client({.ca_file = authority().file()}).value();
    return made;
}

/// The server's end as it gets it: owned, and with a peer's name, who does not speak too early.
class ServerEnd : public Stream {
  public:
    ServerEnd(Stream& end, const engine::Clock& clock) : end_(end), clock_(clock) {}
    Task<engine::Result<std::string_view>> read() override {
        if (deadline_ - clock_.now() <= SmtpLimits::early_talk)
            co_return engine::failure(engine::Errc::timeout);
        co_return co_await end_.read();
    }
    [[clang::coro_wrapper]] Task<engine::Result<void>> write(
        std::span<const std::string_view> chunks) override {
        return end_.write(chunks);
    }
    void expires_at(engine::Instant deadline) override { deadline_ = deadline; }
    void close() override { end_.close(); }
    std::string peer() const override { return "192.0.2.7:40000"; }

  private:
    Stream& end_;
    const engine::Clock& clock_;
    engine::Instant deadline_{};
};

const std::string from_ann = engine::base64(std::string("\0ann\0secret", 11));
const std::vector<std::string> submission = {"EHLO app.example",
                                             "AUTH PLAIN " + from_ann,
                                             "MAIL FROM:<b@s.example> REQUIRETLS",
                                             "RCPT TO:<a@x.example>",
                                             "DATA",
                                             "From: b@s.example\r\nSubject: hi\r\n\r\nx\r\n.",
                                             "QUIT"};

struct Client {
    MemoryPair& pair;
    bool start_tls = true;
    std::vector<std::string> lines = submission;
    std::vector<std::string> replies = {};  // whole, without their last line end
    bool shook_hands = false;

    Task<> run() {
        Stream* stream = &pair.a();
        engine::TlsStream tls(pair.a(), client_context());
        tls.expect("out1.example", {}, nullptr, nullptr);
        std::optional<engine::LineReader> reader;
        reader.emplace(*stream, engine::LineLimits{});
        if (start_tls) {
            co_await hear(&*reader);
            co_await say(stream, "EHLO app.example");
            co_await hear(&*reader);
            co_await say(stream, "STARTTLS");
            co_await hear(&*reader);
        }
        const auto done = co_await tls.handshake();
        shook_hands = done.has_value();
        if (!shook_hands) co_return pair.a().close();
        stream = &tls;
        reader.emplace(*stream, engine::LineLimits{});
        if (!start_tls) co_await hear(&*reader);
        for (const std::string& line : lines) {
            co_await say(stream, line);
            const bool heard = co_await hear(&*reader);
            if (!heard) break;
        }
        pair.a().close();
    }
    Task<> say(Stream* stream, std::string line) {
        line += "\r\n";
        const std::string_view chunk = line;
        co_await stream->write({&chunk, 1});
    }
    Task<bool> hear(engine::LineReader* reader) {
        std::string reply;
        for (;;) {
            const auto line = co_await reader->next();
            if (!line) co_return false;
            reply += line->text;
            if (line->text.size() < 4 || line->text[3] != '-') break;
            reply += '\n';
        }
        replies.push_back(std::move(reply));
        co_return true;
    }
    std::string codes() const {
        std::string all;
        for (const auto& reply : replies) all += (all.empty() ? "" : " ") + reply.substr(0, 3);
        return all;
    }
};

struct SmtpTls : ::testing::Test {
    Harness h;
    SmtpTls() {
        h.know({{"ann",
                 "$6$rounds=1000$saltsalt$"
                 "LAV5VE5Y7w1d73x1mFNspYWUpazfmwv2SoepNXNKJ/"
                 "otop/Zok96Hr8Q13LEv0DRY/x8v0/crpIjl8NJSAqXV/",
                 "acme"}});
        h.context.access.tls = server_context();
    }
    void serve(MemoryPair& pair, Client& client, SmtpPort port) {
        engine::Scope scope;
        scope.spawn(serve_smtp(std::make_unique<ServerEnd>(pair.b(), h.clock), &h.context, port));
        scope.spawn(client.run());
        pair.drain();
        EXPECT_EQ(scope.running(), 0u);
    }
};

TEST_F(SmtpTls, TakesMailAfterStartTlsAndLogin) {
    for (const size_t segment : {SIZE_MAX, size_t{1}, size_t{100}}) {
        h.intake.parts.clear();
        MemoryPair pair(segment);
        Client client{pair};
        serve(pair, client, SmtpPort::plain);
        EXPECT_EQ(client.codes(), "220 250 220 250 235 250 250 354 250 221");
        EXPECT_THAT(client.replies[1], HasSubstr("\n250 STARTTLS"));
        EXPECT_THAT(client.replies[1], Not(HasSubstr("AUTH")));
        EXPECT_THAT(client.replies[3], HasSubstr("\n250-REQUIRETLS\n250 AUTH PLAIN LOGIN"));
        EXPECT_THAT(client.replies[3], Not(HasSubstr("STARTTLS")));
        ASSERT_EQ(h.intake.parts.size(), 1u);
        EXPECT_EQ(h.intake.parts[0].job->job.tenant, "acme");
        EXPECT_EQ(h.intake.parts[0].job->job.tls, storage::TlsRequest::required);
        EXPECT_THAT(h.rendered(), HasSubstr("with ESMTPSA id"));
    }
}

TEST_F(SmtpTls, TakesMailWhereTlsComesFirst) {
    MemoryPair pair;
    Client client{pair, false};
    serve(pair, client, SmtpPort::tls);
    EXPECT_EQ(client.codes(), "220 250 235 250 250 354 250 221");
    EXPECT_EQ(h.intake.parts.size(), 1u);
}

TEST_F(SmtpTls, ForgetsWhatWasSaidBeforeTheHandshake) {
    MemoryPair pair;
    Client client{.pair = pair,
                  .lines = {"MAIL FROM:<b@s.example>", "AUTH PLAIN " + from_ann, "STARTTLS",
                            "EHLO a", "STARTTLS"}};
    serve(pair, client, SmtpPort::plain);
    EXPECT_EQ(client.codes(), "220 250 220 503 503 503 250 503");
}

/// CVE-2011-0411 and kin: what somebody put behind STARTTLS is neither obeyed nor answered under
/// TLS.
TEST_F(SmtpTls, ObeysNothingThatCameInTheClearBehindStartTls) {
    std::mt19937 random(1);
    const std::string injected[] = {
        "MAIL FROM:<evil@s.example>\r\n",
        "RSET\r\n",
        "NOOP\r\n",
        "EHLO evil\r\n",
        "x",
        "\r\n",
        "AUTH PLAIN " + from_ann + "\r\nMAIL FROM:<evil@s.example>\r\nRCPT TO:<v@x.example>\r\n",
        std::string(64 * 1024, 'A'),
        "BDAT 100000\r\n",
        "STARTTLS\r\n"};
    size_t inputs = 0;
    for (const std::string& evil : injected) {
        for (int i = 0; i < 20; ++i, ++inputs) {
            // Cut at random, but its first octet is there when STARTTLS is obeyed.
            const std::string input = "EHLO a\r\nSTARTTLS\r\n" + evil;
            const size_t first = 18 + 1 + random() % evil.size();
            std::deque<std::string> segments = {"", input.substr(0, first)};
            for (size_t at = first; at < input.size();) {
                const size_t octets = 1 + random() % 5000;
                segments.push_back(input.substr(at, octets));
                at += octets;
            }
            Harness o;
            o.peer = "192.0.2.7:40000";
            o.context.access.tls = server_context();
            EXPECT_EQ(codes(o.talk(std::move(segments))), "220 250 554");
            EXPECT_TRUE(o.seen.closed);
        }
    }
    EXPECT_EQ(inputs, 200u);
}

/// What comes in the clear after the 220 is no handshake.
TEST_F(SmtpTls, ClosesWhenTheHandshakeIsNone) {
    for (const char* garbage :
         {"EHLO a\r\n", "MAIL FROM:<>\r\n", "\x16\x03\x01\x02", "\x80\x2e\x01", ""}) {
        Harness o;
        o.context.access.tls = server_context();
        const std::string said = o.talk({"EHLO a\r\nSTARTTLS\r\n", garbage, "MAIL FROM:<>\r\n"});
        EXPECT_THAT(codes(said.substr(0, said.find("go ahead") + 10)), "220 250 220") << garbage;
        EXPECT_THAT(said, Not(HasSubstr("2.1.0"))) << "nothing is answered in the clear";
        EXPECT_TRUE(o.seen.closed);
    }
}

TEST_F(SmtpTls, EndsAHandshakeThatStandsStill) {
    Harness o;
    o.context.access.tls = server_context();
    const engine::Instant begin = o.clock.now();
    o.talk({"EHLO a\r\nSTARTTLS\r\n"}, MemoryStream::End::silent);
    EXPECT_EQ(o.clock.now() - begin, SmtpLimits::handshake);
    o.talk({}, MemoryStream::End::silent, SmtpPort::tls);
    EXPECT_EQ(o.clock.now() - begin, 2 * SmtpLimits::handshake);
}

TEST_F(SmtpTls, RefusesStartTlsWhereItMakesNoSense) {
    EXPECT_EQ(codes(h.talk({"EHLO a\r\nSTARTTLS now\r\n"})), "220 250 501");
    Harness without;
    EXPECT_EQ(codes(without.talk({"EHLO a\r\nSTARTTLS\r\nNOOP\r\n"})), "220 250 502 250");
}

}  // namespace
}  // namespace ingest::smtp_testing
