#include "engine/smtp/session.h"

#include <algorithm>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "engine/smtp/auth.h"
#include "engine/smtp/commands.h"
#include "engine/smtp/dialogue.h"
#include "engine/smtp/mail_source.h"
#include "engine/smtp/starttls.h"
#include "engine/smtp/window.h"
#include "metrics/check.h"

namespace engine {

namespace {

Verdict unreachable_verdict(Stage stage, Reply reply) {
    return {Verdict::Kind::deferred, stage, std::move(reply)};
}

Verdict unreachable_verdict(Stage stage, Error why) {
    return {
        .stage = stage, .reply = {.text = std::move(why.what)}, .failure = failure_of(why.code)};
}

/// The one mail of transact().
class OneMail : public MailSource {
  public:
    explicit OneMail(Mail mail) : mail_(std::move(mail)) {}
    std::optional<Mail> take() override { return std::exchange(mail_, std::nullopt); }
    bool ready() const override { return mail_.has_value(); }
    void prepare() override {}
    Task<bool> wait() override { co_return false; }
    void settle(Outcome outcome) override { outcome_ = std::move(outcome); }

    Outcome outcome() && { return std::move(outcome_); }

  private:
    std::optional<Mail> mail_;
    Outcome outcome_;
};

}  // namespace

struct Session::State {
    enum class Phase : uint8_t { connected, ready, busy, ended };

    Clock& clock;
    std::shared_ptr<const SmtpTimeouts> kept_timeouts;
    const SmtpTimeouts& timeouts;
    Dialogue dialogue;
    Capabilities capabilities;
    SessionPlan session_plan{.depth = Depth::envelope};
    std::shared_ptr<HostTraits> traits = std::make_shared<HostTraits>();
    Window window;
    Phase phase = Phase::connected;
    std::string ehlo_name;
    TlsLine tls;

    State(Stream& stream, Clock& c, std::shared_ptr<const SmtpTimeouts> t)
        : clock(c),
          kept_timeouts(std::move(t)),
          timeouts(*kept_timeouts),
          dialogue(stream, c),
          window(dialogue, capabilities, timeouts) {}

    Task<std::expected<void, Verdict>> introduce();
    std::expected<void, Verdict> go_over_to(TlsStarted started);
};

Session::Session(Stream& stream, Clock& clock, std::shared_ptr<const SmtpTimeouts> timeouts)
    : state_(std::make_unique<State>(
          stream, clock, timeouts ? std::move(timeouts) : std::make_shared<const SmtpTimeouts>())) {
}
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
    const std::string called = std::move(banner->text);
    auto introduced = co_await s.introduce();
    if (introduced) {
        s.window.begin(called, s.session_plan, s.traits);
        s.phase = State::Phase::ready;
    }
    co_return introduced;
}

std::expected<void, Verdict> Session::State::go_over_to(TlsStarted started) {
    DialogueTap* const tap = dialogue.listener();
    if (!started) {
        if (tap) tap->note("no TLS: " + started.error().reply.text);
        return std::unexpected(std::move(started.error()));
    }
    tls = std::move(*started);
    if (tap) tap->note("from here on by " + to_string(tls.stream->result()));
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
    CHECK(s.phase == State::Phase::ready && s.window.begun() == 0 && !s.tls.stream,
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
    CHECK(s.phase == State::Phase::ready && s.window.begun() == 0, "AUTH where it cannot stand");
    s.phase = State::Phase::ended;
    auto done = co_await authenticate(&s.dialogue, s.capabilities, std::move(credentials),
                                      s.timeouts.command);
    if (done) s.phase = State::Phase::ready;
    co_return done;
}

const TlsResult& Session::tls() const {
    static const TlsResult in_the_clear;
    return state_->tls.stream ? state_->tls.stream->result() : in_the_clear;
}

Task<> Session::run(MailSource* source) {
    State& s = *state_;
    CHECK(s.phase == State::Phase::ready, "a transaction on a connection that is not usable");
    s.phase = State::Phase::busy;
    co_await s.window.run(source);
    s.phase = s.window.usable() ? State::Phase::ready : State::Phase::ended;
}

Task<Outcome> Session::transact(Mail mail) {
    Verdict unasked{.kind = Verdict::Kind::untried,
                    .stage = Stage::mail,
                    .reply = {.text = "the connection has carried as much as it should"},
                    .failure = Failure::end_of_connection};
    Outcome none{.verdicts = std::vector<Verdict>(mail.recipients.size(), unasked),
                 .connection_usable = false};
    OneMail one(std::move(mail));
    co_await run(&one);
    co_return one.ready() ? std::move(none) : std::move(one).outcome();
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
bool Session::usable() const {
    return state_->phase == State::Phase::ready;
}
uint32_t Session::recipients_max() const {
    const uint32_t stated = state_->capabilities.recipients_max;
    const uint32_t seen = state_->traits->recipients_max;
    return stated == 0 || seen == 0 ? std::max(stated, seen) : std::min(stated, seen);
}
void Session::plan(SessionPlan plan, std::shared_ptr<HostTraits> traits) {
    CHECK(state_->phase == State::Phase::connected && traits, "a plan comes before the greeting");
    state_->session_plan = plan;
    state_->traits = std::move(traits);
}

void Session::let_listen(DialogueTap& tap) {
    state_->dialogue.let_listen(tap);
}

Task<std::expected<void, Verdict>> Session::State::introduce() {
    const Instant asked = clock.now();
    Result<Reply> answer =
        co_await dialogue.command(ehlo_command(ehlo_name), "EHLO", timeouts.command);
    window.note_round_trip(clock.now() - asked);
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

}  // namespace engine
