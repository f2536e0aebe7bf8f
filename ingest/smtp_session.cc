#include "ingest/smtp_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/reactor/address.h"
#include "metrics/catalog.h"

namespace ingest {

using engine::Errc;
using engine::Instant;
using engine::Line;
using engine::Result;
using engine::Task;

namespace {

constexpr char stopping[] = "the service is stopping; try again";

}  // namespace

SmtpSession::SmtpSession(std::unique_ptr<engine::Stream> transport, SmtpServerContext& context,
                         SmtpPort port)
    : transport_(std::move(transport)), context_(context), port_(port), stream_(transport_.get()) {
    lines_.emplace(*stream_, engine::LineLimits{.kept = SmtpLimits::command_octets_max});
    context_.streams.insert(transport_.get());
    const std::string peer = transport_->peer();
    const auto address = engine::SocketAddress::parse(peer);
    if (peer.starts_with("unix")) {
        standing_ = Standing::trusted;
    } else if (address) {
        ip_ = address->ip();
        loopback_ = address->is_loopback();
        if (context_.access.trusts(ip_)) standing_ = Standing::trusted;
    } else {
        ip_ = "unknown";  // a peer without a name is a stranger, and not local
    }
    login_deadline_ = context_.clock.now() + SmtpLimits::login;
}

SmtpSession::~SmtpSession() {
    context_.streams.erase(transport_.get());
}

Task<> SmtpSession::run() {
    if (port_ == SmtpPort::tls) {
        const bool secured = co_await shake_hands();
        if (!secured) co_return transport_->close();
    }
    if (context_.draining) {
        say(reject({421, "4.3.2", stopping}, "draining"));
    } else if (standing_ == Standing::stranger && co_await speaks_early()) {
        say(reject({554, "5.5.0", "you spoke before the greeting. Closing the connection"},
                   "early_talker"));
        co_await linger();
    } else {
        say({220, "", context_.intake.node_name() + " ESMTP Sluice"});
        co_await converse();
    }
    co_await flush();
    if (tls_) co_await tls_->say_goodbye();
    transport_->close();
}

Task<> SmtpSession::turn_away(std::string_view why) {
    say(reject({421, "4.7.0", fmt::format("{} {}", context_.intake.node_name(), why)},
               "connections"));
    co_await flush();
    transport_->close();
}

/// Who does not wait for the greeting does not read the answers either: a robot, or a browser.
Task<bool> SmtpSession::speaks_early() {
    stream_->expires_at(context_.clock.now() + SmtpLimits::early_talk);
    const Result<void> filled = co_await lines_->fill();
    co_return filled.has_value();
}

Task<> SmtpSession::converse() {
    while (open_) {
        // Answers go out together, but never wait for input that may wait for them.
        const bool more_at_hand = lines_->buffered().find('\n') != std::string_view::npos;
        if (!more_at_hand || replies_.size() > SmtpLimits::replies_bytes_max) co_await flush();
        if (!open_) co_return;
        const Result<Line> line = co_await next_line();
        if (!line) {
            if (line.error().code == Errc::timeout) {
                say(closing(context_.draining ? stopping : "idle too long"));
            } else if (line.error().code == Errc::protocol) {
                say(closing("a line without end"));
            }
            co_return;
        }
        co_await obey(*line);
        const size_t commands_max = standing_ == Standing::stranger
                                        ? SmtpLimits::commands_before_login_max
                                        : SmtpLimits::commands_max;
        if (errors_ >= SmtpLimits::errors_max && open_) {
            say(reject(closing("too many errors in one session"), "errors"));
        } else if (++commands_ >= commands_max && open_) {
            say(reject(closing("too many commands that hand over no mail"), "commands"));
        }
    }
}

/// The latest time at which the peer may still say something.
Instant SmtpSession::patience() const {
    Instant until = context_.clock.now() + SmtpLimits::idle;
    if (standing_ == Standing::stranger) until = std::min(until, login_deadline_);
    if (transaction_ && transaction_->chunks)
        until = std::min(until, content_deadline(transaction_->chunks->content.bytes()));
    return until;
}

/// Errc::timeout also ends the wait of an idle session when the daemon drains.
Task<Result<Line>> SmtpSession::next_line() {
    if (lines_->buffered().empty()) TRY(co_await wait_for_bytes());
    stream_->expires_at(patience());
    co_return co_await lines_->next();
}

Task<Result<void>> SmtpSession::wait_for_bytes() {
    const Instant deadline = patience();
    for (;;) {
        if (context_.draining) co_return engine::failure(Errc::timeout);
        const Instant notice = context_.clock.now() + SmtpLimits::drain_notice;
        stream_->expires_at(std::min(deadline, notice));
        const Result<void> filled = co_await lines_->fill();
        if (filled || filled.error().code != Errc::timeout) co_return filled;
        if (context_.clock.now() >= deadline) co_return filled;
    }
}

Task<> SmtpSession::obey(Line line) {
    if (!line.clean) {
        // What follows a bare CR or LF may be a command that nobody meant to send (smuggling).
        co_return co_await part(reject(
            {500, "5.5.2", "lines end in CRLF; a bare CR or LF came. Closing the connection"},
            "line_end"));
    }
    if (line.truncated()) {
        SmtpReply reply{
            500, "5.5.2",
            fmt::format("a command has more than {} octets", SmtpLimits::command_octets_max)};
        co_return co_await refuse_line(std::move(reply), line.text);
    }
    const auto command = parse_smtp_command(line.text);
    if (!command) co_return co_await refuse_line(command.error(), line.text);
    if (command->verb == SmtpVerb::unknown) {
        co_return co_await refuse_line({500, "5.5.2", "unknown command"}, line.text);
    }
    co_await follow(*command);
}

Task<> SmtpSession::follow(SmtpCommand command) {
    switch (command.verb) {
        case SmtpVerb::ehlo:
        case SmtpVerb::helo:
            co_return say(greet(command));
        case SmtpVerb::starttls:
            co_return co_await start_tls(command.argument);
        case SmtpVerb::auth:
            co_return co_await auth(command.argument);
        case SmtpVerb::mail:
            co_return say(mail(command.argument));
        case SmtpVerb::rcpt:
            co_return say(rcpt(command.argument));
        case SmtpVerb::data:
            co_return co_await data(command.argument);
        case SmtpVerb::bdat:
            co_return co_await bdat(command.argument);
        case SmtpVerb::rset:
            co_return say(reset(command.argument));
        case SmtpVerb::noop:
            co_return say({250, "2.0.0", "ok"});
        case SmtpVerb::vrfy:
            co_return say({252, "2.5.0", "addresses are not verified; mail to them will be tried"});
        case SmtpVerb::help:
            co_return say({214, "2.0.0",
                           "EHLO HELO STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT"});
        case SmtpVerb::quit:
            open_ = false;
            co_return say({221, "2.0.0", "bye"});
        case SmtpVerb::not_offered:
            co_return say(reject({502, "5.5.1", "not offered here"}, "syntax"));
        case SmtpVerb::foreign:
            co_return co_await part(reject(
                {554, "5.5.1", "this is SMTP, not HTTP. Closing the connection"}, "foreign"));
        case SmtpVerb::unknown:
            break;  // refused already
    }
}

/// A line that cannot be read. Were it a BDAT, nobody could say where its content ends: what
/// follows must not be taken for commands.
Task<> SmtpSession::refuse_line(SmtpReply reply, std::string_view text) {
    if (!same_word(text.substr(0, 4), "BDAT")) co_return say(reject(std::move(reply), "syntax"));
    co_await part(reject(std::move(reply), "syntax"));
}

// ---- the envelope

SmtpReply SmtpSession::greet(SmtpCommand command) {
    if (!is_helo_name(command.argument)) {
        return reject({501, "5.5.4", "wants your host name or [address]"}, "syntax");
    }
    begin_anew();
    helo_ = command.argument;
    esmtp_ = command.verb == SmtpVerb::ehlo;
    if (!esmtp_) return {250, "", context_.intake.node_name()};
    std::string text = fmt::format(
        "{}\nPIPELINING\nSIZE {}\n8BITMIME\nSMTPUTF8\nCHUNKING\nDSN\nENHANCEDSTATUSCODES\n"
        "LIMITS MAILMAX={} RCPTMAX={}",
        context_.intake.node_name(), SmtpLimits::message_bytes_max, SmtpLimits::transactions_max,
        SmtpLimits::recipients_max);
    if (tls_) {
        text += "\nREQUIRETLS";
    } else if (context_.access.tls) {
        text += "\nSTARTTLS";
    }
    if (offers_auth()) text += "\nAUTH PLAIN LOGIN";
    return {250, "", std::move(text)};
}

SmtpReply SmtpSession::mail(std::string_view argument) {
    if (helo_.empty()) return reject({503, "5.5.1", "EHLO comes first"}, "sequence");
    if (standing_ == Standing::stranger) {
        const bool could = context_.logins && context_.access.tls;
        const char* how = offers_auth() ? "log in with AUTH first"
                          : could       ? "STARTTLS and AUTH come first"
                                        : "mail is taken from trusted hosts only";
        return reject({530, "5.7.0", how}, "login_missing");
    }
    if (transaction_) {
        return reject({503, "5.5.1", "a transaction is open; RSET ends it"}, "sequence");
    }
    if (context_.draining) return reject(closing(stopping), "draining");
    if (transactions_ >= SmtpLimits::transactions_max) {
        return reject(closing("enough mail for one session; connect again"), "transactions");
    }
    auto parsed = parse_mail_from(
        argument, {.auth = context_.logins != nullptr, .require_tls = tls_ != nullptr});
    if (!parsed) return reject(parsed.error(), "address");
    if (parsed->size > SmtpLimits::message_bytes_max) {
        return reject(
            {552, "5.3.4",
             fmt::format("a message may have {} octets at most", SmtpLimits::message_bytes_max)},
            "too_large");
    }
    if (const auto refusal = context_.intake.refusal()) return refused_by(*refusal);
    ++transactions_;
    transaction_.emplace().mail = std::move(*parsed);
    return {250, "2.1.0", "ok"};
}

SmtpReply SmtpSession::rcpt(std::string_view argument) {
    if (!transaction_) return reject({503, "5.5.1", "MAIL comes first"}, "sequence");
    SmtpTransaction& transaction = *transaction_;
    if (transaction.chunks) {
        return reject({503, "5.5.1", "recipients come before the content"}, "sequence");
    }
    if (transaction.recipients.size() >= SmtpLimits::recipients_max) {
        return reject({452, "4.5.3",
                       fmt::format("a transaction takes {} recipients; send the others in "
                                   "the next one",
                                   SmtpLimits::recipients_max)},
                      "recipients_max");
    }
    auto parsed = parse_rcpt_to(
        argument, transaction.mail.utf8 ? Utf8Addresses::allowed : Utf8Addresses::refused);
    if (!parsed) {
        if (++transaction.refused >= SmtpLimits::refused_recipients_max) {
            return reject(closing("too many recipients that are none"), "errors");
        }
        return reject(parsed.error(), "address");
    }
    transaction.recipients.push_back(std::move(*parsed));
    commands_ = 0;
    return {250, "2.1.5", "ok"};
}

SmtpReply SmtpSession::reset(std::string_view argument) {
    if (!argument.empty()) return reject({501, "5.5.4", "RSET takes no argument"}, "syntax");
    begin_anew();
    return {250, "2.0.0", "ok"};
}

void SmtpSession::begin_anew() {
    transaction_.reset();
}

// ---- replies

Task<> SmtpSession::flush() {
    if (replies_.empty()) co_return;
    const std::string out = std::exchange(replies_, {});
    const std::string_view chunks[] = {out};
    stream_->expires_at(context_.clock.now() + SmtpLimits::idle);
    const Result<void> written = co_await stream_->write(chunks);
    if (!written) open_ = false;
}

/// Closing with unread input makes the kernel send a reset, which may overtake our last reply.
Task<> SmtpSession::linger() {
    constexpr uint64_t lingered_bytes_max = 16 << 20;
    co_await flush();
    stream_->expires_at(context_.clock.now() + SmtpLimits::linger);
    for (uint64_t bytes = 0; bytes < lingered_bytes_max;) {
        lines_->consume(lines_->buffered().size());
        if (!co_await lines_->fill()) co_return;
        bytes += lines_->buffered().size();
    }
}

Task<> SmtpSession::part(SmtpReply reply) {
    say(reply);
    open_ = false;
    begin_anew();
    co_await linger();
}

void SmtpSession::say(const SmtpReply& reply) {
    // Refused recipients are no errors: one message may have thousands of them and still be a good
    // one.
    if ((reply.code >= 500 && reply.code <= 503) || reply.code == 530 || reply.code == 555)
        ++errors_;
    replies_ += reply.wire();
}

SmtpReply SmtpSession::reject(SmtpReply reply, std::string_view reason) const {
    context_.metrics.counter(metrics::catalog::ingest_rejected, {"smtp", reason}).add();
    return reply;
}

SmtpReply SmtpSession::refused_by(const engine::Refusal& refusal) {
    constexpr std::string_view reasons[] = {"disk_low", "queue_full", "storage_failed", "draining"};
    const std::string_view reason = reasons[static_cast<size_t>(refusal.why)];
    if (refusal.why == engine::Refusal::Why::draining) {
        return reject(closing(stopping), reason);
    }
    std::string text = refusal.message;
    if (!refusal.limit.empty()) text += fmt::format(" ({})", refusal.limit);
    text += fmt::format("; try again in {} s", refusal.retry_after.count());
    return reject({452, "4.3.1", std::move(text)}, reason);
}

SmtpReply SmtpSession::closing(std::string_view why) {
    open_ = false;
    return {421, "4.3.2", fmt::format("{} {}", context_.intake.node_name(), why)};
}

}  // namespace ingest
