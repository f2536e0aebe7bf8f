// Our client against our submission server over pipes in memory: what one writes the other must
// take, octet for octet. Neither shares a line of code with the other above the line reader.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <coroutine>
#include <random>

#include "engine/smtp/session.h"
#include "tests/ingest/support/smtp_harness.h"

namespace ingest::smtp_testing {
namespace {

/// One direction. The reader gets random pieces of what was written.
struct Pipe {
    std::mt19937& random;
    std::string waiting = {};
    std::string segment = {};
    std::coroutine_handle<> reader = {};
    bool closed = false;

    bool await_ready() const noexcept { return closed || !waiting.empty(); }
    void await_suspend(std::coroutine_handle<> handle) { reader = handle; }
    void await_resume() const noexcept {}
    void wake() {
        if (reader) std::exchange(reader, nullptr).resume();
    }
};

class PipeStream : public engine::Stream {
  public:
    PipeStream(Pipe& in, Pipe& out) : in_(in), out_(out) {}
    engine::Task<engine::Result<std::string_view>> read() override {
        co_await in_;
        if (in_.waiting.empty()) co_return engine::failure(engine::Errc::closed);
        const size_t bytes = 1 + in_.random() % in_.waiting.size();
        in_.segment = in_.waiting.substr(0, bytes);
        in_.waiting.erase(0, bytes);
        co_return std::string_view(in_.segment);
    }
    engine::Task<engine::Result<void>> write(std::span<const std::string_view> chunks) override {
        for (const std::string_view chunk : chunks) out_.waiting += chunk;
        out_.wake();
        co_return engine::Result<void>();
    }
    void expires_at(engine::Instant) override {}
    void close() override {
        in_.closed = out_.closed = true;
        out_.wake();
    }
    std::string peer() const override { return "127.0.0.1:40000"; }

  private:
    Pipe& in_;
    Pipe& out_;
};

std::string random_body(std::mt19937& random) {
    constexpr std::string_view alphabet[] = {".",  "\r\n", "\r\n.",       "\r\n.\r\n",
                                             "..", "text", "\r\nQUIT\r\n"};
    std::string body;
    for (size_t pieces = random() % 40; pieces > 0; --pieces) {
        body += alphabet[random() % std::size(alphabet)];
        if (random() % 20 == 0) body.append(random() % 900, 'L').append("\r\n");
    }
    return body + "\r\n";
}

const std::string header =
    "From: b@s.example\r\nTo: a@x.example\r\nSubject: hi\r\n"
    "Date: Sun, 22 Nov 2026 00:00:00 +0000\r\nMessage-ID: <1@s.example>\r\n\r\n";

engine::Task<> send_all(engine::Session* session, const std::vector<std::string>* bodies,
                        std::mt19937* random) {
    EXPECT_TRUE((co_await session->greet("client.example")).has_value());
    for (const std::string& body : *bodies) {
        engine::Mail mail{.sender = "b@s.example",
                          .recipients = {{"a@x.example"}, {"not an address"}, {"c@x.example"}},
                          .content = std::make_shared<const std::string>(header + body),
                          .lock_step = (*random)() % 4 == 0};
        const engine::Outcome outcome = co_await session->transact(std::move(mail));
        using Kind = engine::Verdict::Kind;
        EXPECT_EQ(outcome.verdicts.at(0).kind, Kind::delivered) << outcome.verdicts[0].reply.text;
        EXPECT_EQ(outcome.verdicts.at(1).kind, Kind::bounced);
        EXPECT_EQ(outcome.verdicts.at(2).kind, Kind::delivered);
        EXPECT_TRUE(outcome.connection_usable);
        if (!outcome.connection_usable) co_return;
    }
    co_await session->quit();
}

TEST(SmtpRoundTrip, TheServerTakesWhatTheClientSendsOctetForOctet) {
    std::mt19937 random(42);
    std::vector<std::string> bodies;
    for (int i = 0; i < 1000; ++i) bodies.push_back(random_body(random));
    Harness h;
    Pipe up{random};
    Pipe down{random};
    engine::Scope scope;
    scope.spawn(serve_smtp(std::make_unique<PipeStream>(up, down), &h.context));
    PipeStream client(down, up);
    engine::Session session(client, h.clock, {});
    scope.spawn(send_all(&session, &bodies, &random));
    ASSERT_EQ(scope.running(), 0u);
    ASSERT_EQ(h.intake.parts.size(), bodies.size());
    for (size_t i = 0; i < bodies.size(); ++i) {
        ASSERT_EQ(h.intake.parts[i].recipients.size(), 2u);
        const std::string mail = h.rendered(i);
        ASSERT_EQ(mail.substr(mail.find("\r\n\r\n") + 4), bodies[i]) << i;
    }
}

}  // namespace
}  // namespace ingest::smtp_testing
