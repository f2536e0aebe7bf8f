#include "engine/smtp/session.h"

#include <algorithm>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "engine/smtp/auth.h"
#include "engine/smtp/commands.h"
#include "engine/smtp/dialogue.h"
#include "engine/smtp/dot_stuff.h"
#include "engine/smtp/starttls.h"
#include "engine/smtp/transaction.h"
#include "metrics/check.h"

namespace engine {

namespace {

/// Commands of one group. Bounded so that neither side's buffers can fill up with both waiting for
/// the other to read (RFC 2920 3.1): the replies to a hundred commands fit any socket buffer.
constexpr size_t group_commands_max = 100;

Verdict unreachable_verdict(Stage stage, Reply reply) {
    return {Verdict::Kind::deferred, stage, std::move(reply)};
}

Verdict unreachable_verdict(Stage stage, Error why) {
    return {
        .stage = stage, .reply = {.text = std::move(why.what)}, .failure = failure_of(why.code)};
}

/// Why this host can never take this mail, by what it has said in EHLO; in our words.
std::optional<Reply> unsendable(const Mail& mail, const Capabilities& host) {
    const size_t bytes = mail.content->size();
    if (host.size_max > 0 && bytes > host.size_max) {
        return Reply{552, "5.3.4",
                     "the mail has " + std::to_string(bytes) +
                         " octets and the host takes at most " + std::to_string(host.size_max) +
                         "; nothing was sent"};
    }
    if (mail.eight_bit && !host.eight_bit_mime) {
        return Reply{554, "5.6.3",
                     "the mail has 8-bit content and the host does not offer 8BITMIME; nothing was "
                     "sent. Encode the parts as quoted-printable or base64"};
    }
    if (needs_smtp_utf8(mail) && !host.smtp_utf8) {
        return Reply{
            550, "5.6.7",
            "an address is not ASCII and the host does not offer SMTPUTF8; nothing was sent"};
    }
    if (const size_t at = find_bare_line_end(*mail.content); at != std::string_view::npos) {
        return Reply{554, "5.6.0",
                     "the mail holds a bare CR or LF at octet " + std::to_string(at) +
                         ", which SMTP cannot carry; nothing was sent"};
    }
    return std::nullopt;
}

Outcome same_for_all(const Mail& mail, const Verdict& verdict) {
    return {.verdicts = std::vector<Verdict>(mail.recipients.size(), verdict)};
}

}  // namespace

struct Session::State {
    enum class Phase : uint8_t { connected, ready, busy, ended };

    Clock& clock;
    SmtpTimeouts timeouts;
    Dialogue dialogue;
    Capabilities capabilities;
    uint32_t transactions = 0;
    Phase phase = Phase::connected;
    bool left_open = false;  // the last transaction; RSET goes in front of the next MAIL
    std::string ehlo_name;
    TlsLine tls;
    TlsResult tls_result;

    State(Stream& stream, Clock& c, SmtpTimeouts t) : clock(c), timeouts(t), dialogue(stream, c) {}

    Task<std::expected<void, Verdict>> introduce();
    std::expected<void, Verdict> go_over_to(TlsStarted started);
    Task<> send_envelope(const Mail* mail, Transaction* transaction);
    Task<> send_content(const Mail* mail, Transaction* transaction);
    Task<> take_reply(Step step, Transaction* transaction);
};

Session::Session(Stream& stream, Clock& clock, SmtpTimeouts timeouts)
    : state_(std::make_unique<State>(stream, clock, timeouts)) {}
Session::~Session() = default;

Task<std::expected<void, Verdict>> Session::greet(std::string ehlo_name) {
    State& s = *state_;
    CHECK(s.phase == State::Phase::connected, "a session greets once");
    s.phase = State::Phase::ended;
    Result<Reply> banner =
        co_await s.dialogue.reply(s.timeouts.banner, "the connection (its banner)");
    if (!banner) {
        co_return std::unexpected(unreachable_verdict(Stage::banner, std::move(banner.error())));
    }
    if (!banner->positive() || banner->code == 221) {
        co_return std::unexpected(unreachable_verdict(Stage::banner, std::move(*banner)));
    }
    s.ehlo_name = std::move(ehlo_name);
    auto introduced = co_await s.introduce();
    if (introduced) s.phase = State::Phase::ready;
    co_return introduced;
}

std::expected<void, Verdict> Session::State::go_over_to(TlsStarted started) {
    if (!started) return std::unexpected(std::move(started.error()));
    tls = std::move(*started);
    tls_result = tls.stream->result();
    return {};
}

Task<std::expected<void, Verdict>> Session::begin_with_tls(TlsStart with) {
    State& s = *state_;
    CHECK(s.phase == State::Phase::connected && !s.tls.stream,
          "TLS from the first octet, and later");
    auto begun =
        s.go_over_to(co_await engine::shake_hands(&s.dialogue, std::move(with), s.timeouts.tls));
    if (!begun) s.phase = State::Phase::ended;
    co_return begun;
}

Task<std::expected<void, Verdict>> Session::start_tls(TlsStart with) {
    State& s = *state_;
    CHECK(s.phase == State::Phase::ready && s.transactions == 0 && !s.tls.stream,
          "STARTTLS where it cannot stand");
    s.phase = State::Phase::ended;
    auto started =
        s.go_over_to(co_await engine::start_tls(&s.dialogue, std::move(with), s.timeouts.tls));
    if (started) started = co_await s.introduce();
    const bool refused = !started && started.error().failure == Failure::no_tls;
    if (started || refused) s.phase = State::Phase::ready;
    co_return started;
}

Task<std::expected<void, Verdict>> Session::log_in(std::shared_ptr<const Credentials> credentials) {
    State& s = *state_;
    CHECK(s.phase == State::Phase::ready && s.transactions == 0, "AUTH where it cannot stand");
    s.phase = State::Phase::ended;
    auto done = co_await authenticate(&s.dialogue, s.capabilities, std::move(credentials),
                                      s.timeouts.command);
    if (done) s.phase = State::Phase::ready;
    co_return done;
}

const TlsResult& Session::tls() const {
    return state_->tls_result;
}

Task<Outcome> Session::transact(Mail mail) {
    State& s = *state_;
    CHECK(s.phase == State::Phase::ready, "a transaction on a connection that is not usable");
    CHECK(!mail.recipients.empty() && mail.content, "a transaction without recipients or content");
    if (auto reply = unsendable(mail, s.capabilities)) {
        co_return same_for_all(mail, {.kind = Verdict::Kind::bounced,
                                      .stage = Stage::mail,
                                      .reply = std::move(*reply),
                                      .failure = Failure::cannot_carry});
    }
    const bool grouped = s.capabilities.pipelining && !mail.lock_step;
    Transaction transaction(
        mail.recipients.size(), grouped ? Transaction::Pace::grouped : Transaction::Pace::lock_step,
        s.transactions > 0 ? Transaction::Connection::reused : Transaction::Connection::fresh);
    ++s.transactions;
    s.phase = State::Phase::busy;
    const Instant start = s.clock.now();
    co_await s.send_envelope(&mail, &transaction);
    const Instant enveloped = s.clock.now();
    if (transaction.wants(Step::content)) co_await s.send_content(&mail, &transaction);

    s.left_open = transaction.left_open();
    Outcome outcome = std::move(transaction).outcome();
    outcome.envelope = enveloped - start;
    outcome.content = s.clock.now() - enveloped;
    // What nobody asked for would be taken for the reply to the next command.
    if (s.dialogue.write_failed() || s.dialogue.out_of_step()) outcome.connection_usable = false;
    s.phase = outcome.connection_usable ? State::Phase::ready : State::Phase::ended;
    co_return outcome;
}

Task<> Session::quit() {
    State& s = *state_;
    if (s.phase != State::Phase::ready) co_return;
    s.phase = State::Phase::ended;
    constexpr std::string_view chunks[] = {"QUIT\r\n"};
    co_await s.dialogue.write(chunks, s.timeouts.quit);
    if (!s.dialogue.write_failed()) co_await s.dialogue.reply(s.timeouts.quit, "QUIT");
    if (s.tls.stream) co_await s.tls.stream->say_goodbye();
}

const Capabilities& Session::capabilities() const {
    return state_->capabilities;
}
uint32_t Session::transactions() const {
    return state_->transactions;
}

Task<std::expected<void, Verdict>> Session::State::introduce() {
    Result<Reply> answer =
        co_await dialogue.command(ehlo_command(ehlo_name), "EHLO", timeouts.command);
    // Other refusals of EHLO are about us, and HELO would meet the same; these say "unknown
    // command".
    const bool unknown =
        answer && (answer->code == 500 || answer->code == 502 || answer->code == 504);
    if (unknown) {
        answer = co_await dialogue.command(helo_command(ehlo_name), "HELO", timeouts.command);
    }
    if (!answer) {
        co_return std::unexpected(unreachable_verdict(Stage::ehlo, std::move(answer.error())));
    }
    if (!answer->positive() || answer->code == 221) {
        co_return std::unexpected(unreachable_verdict(Stage::ehlo, std::move(*answer)));
    }
    if (dialogue.out_of_step()) {
        co_return std::unexpected(
            unreachable_verdict(Stage::ehlo, Error{Errc::protocol, 0, out_of_turn}));
    }
    capabilities = {};
    if (!unknown) capabilities = parse_capabilities(*answer);
    co_return std::expected<void, Verdict>();
}

/// The envelope in groups: all of it where the host takes PIPELINING, else groups of one.
Task<> Session::State::send_envelope(const Mail* mail, Transaction* transaction) {
    const Envelope envelope(*mail, capabilities,
                            left_open ? Envelope::Before::reset : Envelope::Before::nothing);
    const size_t group_max =
        transaction->pace() == Transaction::Pace::grouped ? group_commands_max : 1;
    for (size_t first = 0; first < envelope.size(); first += group_max) {
        if (!transaction->wants(envelope.step(first))) co_return;
        if (dialogue.out_of_step()) {
            co_return transaction->lost(envelope.step(first), {Errc::protocol, 0, out_of_turn});
        }
        const size_t count = std::min(group_max, envelope.size() - first);
        const std::string_view chunks[] = {envelope.bytes(first, count)};
        co_await dialogue.write(chunks, timeouts.command);
        for (size_t i = first; i < first + count; ++i) {
            co_await take_reply(envelope.step(i), transaction);
            if (transaction->broken()) co_return;
        }
    }
}

Task<> Session::State::send_content(const Mail* mail, Transaction* transaction) {
    // 354 although every recipient was refused: a lone dot, so that nobody gets anything (RFC
    // 2920 3.1).
    DotStuffer wire(transaction->accepted() > 0 ? std::string_view(*mail->content) : "");
    for (auto block = wire.next(); !block.empty() && !dialogue.write_failed();
         block = wire.next()) {
        co_await dialogue.write(block, timeouts.body);
    }
    if (!dialogue.write_failed()) transaction->content_is_out();
    co_await take_reply(Step::content, transaction);
}

Task<> Session::State::take_reply(Step step, Transaction* transaction) {
    const auto allowed = step == Step::content ? timeouts.final
                         : step == Step::data  ? timeouts.data
                                               : timeouts.command;
    Result<Reply> result = co_await dialogue.reply(allowed, name_of(step));
    if (result) {
        transaction->take(step, *result);
    } else {
        transaction->lost(step, std::move(result.error()));
    }
}

}  // namespace engine
