#include "ingest/smtp_server.h"

#include <fmt/format.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/net/line_reader.h"
#include "engine/reactor/address.h"
#include "ingest/smtp_command.h"
#include "ingest/smtp_data.h"
#include "ingest/smtp_message.h"
#include "metrics/catalog.h"
#include "storage/ids.h"

namespace ingest {

namespace {

using engine::Errc;
using engine::Instant;
using engine::Line;
using engine::Result;
using engine::Task;

constexpr char stopping[] = "the service is stopping; try again";

class SmtpSession {
  public:
    SmtpSession(std::unique_ptr<engine::Stream> stream, SmtpServerContext& context)
        : stream_(std::move(stream)),
          context_(context),
          lines_(*stream_, {.kept = SmtpLimits::command_octets_max}) {
        context_.streams.insert(stream_.get());
    }
    SmtpSession(const SmtpSession&) = delete;
    SmtpSession& operator=(const SmtpSession&) = delete;
    ~SmtpSession() { context_.streams.erase(stream_.get()); }

    Task<> run();

  private:
    /// In what a session of strangers or of a stopping daemon begins.
    std::optional<SmtpReply> refusal_of_session() const;
    Task<> converse();
    Task<Result<Line>> next_line();
    Task<Result<void>> wait_for_bytes();
    Task<> obey(Line line);
    Task<> flush();
    Task<> linger();

    SmtpReply greet(SmtpCommand command);
    SmtpReply mail(std::string_view argument);
    SmtpReply rcpt(std::string_view argument);
    SmtpReply reset(std::string_view argument);
    Task<> data(std::string_view argument);
    std::optional<SmtpReply> refusal_of_data(std::string_view argument) const;
    Task<Result<void>> receive(SmtpData* data);
    Task<SmtpReply> judge(SmtpData* data);
    Task<SmtpReply> store(std::string message);
    Task<> compile(SmtpSubmission* submission, engine::Origin origin,
                   std::expected<SmtpJob, SmtpReply>* job);

    void say(const SmtpReply& reply);
    SmtpReply reject(SmtpReply reply, std::string_view reason) const;
    SmtpReply refused_by(const engine::Refusal& refusal);
    SmtpReply closing(std::string_view why);
    void begin_anew();

    std::unique_ptr<engine::Stream> stream_;
    SmtpServerContext& context_;
    engine::LineReader lines_;
    std::string replies_;  // gathered while more commands are at hand (RFC 2920)
    std::string helo_;
    bool esmtp_ = false;
    bool open_ = true;
    size_t errors_ = 0;

    std::optional<std::string> sender_;  // of the transaction that is open
    std::vector<engine::Recipient> recipients_;
};

Task<> SmtpSession::run() {
    if (const auto refusal = refusal_of_session()) {
        say(*refusal);
    } else {
        say({220, "", context_.intake.node_name() + " ESMTP Sluice"});
        co_await converse();
    }
    co_await flush();
    stream_->close();
}

std::optional<SmtpReply> SmtpSession::refusal_of_session() const {
    const std::string peer = stream_->peer();
    const auto address = engine::SocketAddress::parse(peer);
    const bool local = address ? address->is_loopback() : peer.starts_with("unix");
    if (!local) {
        return reject(
            {554, "5.7.1", "submission is for this host only; use a Unix socket or loopback"},
            "peer");
    }
    if (context_.draining) return reject({421, "4.3.2", stopping}, "draining");
    return std::nullopt;
}

Task<> SmtpSession::converse() {
    while (open_) {
        // Answers go out together, but never wait for input that may wait for them.
        const bool more_at_hand = lines_.buffered().find('\n') != std::string_view::npos;
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
        if (errors_ >= SmtpLimits::errors_max && open_) {
            say(reject(closing("too many errors in one session"), "errors"));
        }
    }
}

/// Errc::timeout also ends the wait of an idle session when the daemon drains.
Task<Result<Line>> SmtpSession::next_line() {
    if (lines_.buffered().empty()) TRY(co_await wait_for_bytes());
    stream_->expires_at(context_.clock.now() + SmtpLimits::idle);
    co_return co_await lines_.next();
}

Task<Result<void>> SmtpSession::wait_for_bytes() {
    const Instant deadline = context_.clock.now() + SmtpLimits::idle;
    for (;;) {
        if (context_.draining) co_return engine::failure(Errc::timeout);
        const Instant notice = context_.clock.now() + SmtpLimits::drain_notice;
        stream_->expires_at(std::min(deadline, notice));
        const Result<void> filled = co_await lines_.fill();
        if (filled || filled.error().code != Errc::timeout) co_return filled;
        if (context_.clock.now() >= deadline) co_return filled;
    }
}

Task<> SmtpSession::obey(Line line) {
    if (!line.clean) {
        // What follows a bare CR or LF may be a command that nobody meant to send (smuggling).
        say(reject(
            {500, "5.5.2", "lines end in CRLF; a bare CR or LF came. Closing the connection"},
            "line_end"));
        open_ = false;
        co_return co_await linger();
    }
    if (line.truncated()) {
        say(reject(
            {500, "5.5.2",
             fmt::format("a command has more than {} octets", SmtpLimits::command_octets_max)},
            "syntax"));
        co_return;
    }
    const auto command = parse_smtp_command(line.text);
    if (!command) {
        say(reject(command.error(), "syntax"));
        co_return;
    }
    switch (command->verb) {
        case SmtpVerb::ehlo:
        case SmtpVerb::helo:
            co_return say(greet(*command));
        case SmtpVerb::mail:
            co_return say(mail(command->argument));
        case SmtpVerb::rcpt:
            co_return say(rcpt(command->argument));
        case SmtpVerb::data:
            co_return co_await data(command->argument);
        case SmtpVerb::rset:
            co_return say(reset(command->argument));
        case SmtpVerb::noop:
            co_return say({250, "2.0.0", "ok"});
        case SmtpVerb::vrfy:
            co_return say({252, "2.5.0", "addresses are not verified; mail to them will be tried"});
        case SmtpVerb::help:
            co_return say({214, "2.0.0", "EHLO HELO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT"});
        case SmtpVerb::quit:
            open_ = false;
            co_return say({221, "2.0.0", "bye"});
        case SmtpVerb::not_offered:
            co_return say(reject({502, "5.5.1", "not offered here"}, "syntax"));
        case SmtpVerb::unknown:
            co_return say(reject({500, "5.5.2", "unknown command"}, "syntax"));
    }
}

SmtpReply SmtpSession::greet(SmtpCommand command) {
    if (!is_helo_name(command.argument)) {
        return reject({501, "5.5.4", "wants your host name or [address]"}, "syntax");
    }
    begin_anew();
    helo_ = command.argument;
    esmtp_ = command.verb == SmtpVerb::ehlo;
    if (!esmtp_) return {250, "", context_.intake.node_name()};
    return {250, "",
            fmt::format("{}\nPIPELINING\nSIZE {}\n8BITMIME\nENHANCEDSTATUSCODES",
                        context_.intake.node_name(), SmtpLimits::message_bytes_max)};
}

SmtpReply SmtpSession::mail(std::string_view argument) {
    if (helo_.empty()) return reject({503, "5.5.1", "EHLO comes first"}, "sequence");
    if (sender_) return reject({503, "5.5.1", "a transaction is open; RSET ends it"}, "sequence");
    if (context_.draining) return reject(closing(stopping), "draining");
    auto parsed = parse_mail_from(argument);
    if (!parsed) return reject(parsed.error(), "address");
    if (parsed->size > SmtpLimits::message_bytes_max) {
        return reject(
            {552, "5.3.4",
             fmt::format("a message may have {} octets at most", SmtpLimits::message_bytes_max)},
            "too_large");
    }
    if (const auto refusal = context_.intake.refusal()) return refused_by(*refusal);
    sender_ = std::move(parsed->sender);
    return {250, "2.1.0", "ok"};
}

SmtpReply SmtpSession::rcpt(std::string_view argument) {
    if (!sender_) return reject({503, "5.5.1", "MAIL comes first"}, "sequence");
    if (recipients_.size() >= SmtpLimits::recipients_max) {
        return reject({452, "4.5.3",
                       fmt::format("a transaction takes {} recipients; send the others in "
                                   "the next one",
                                   SmtpLimits::recipients_max)},
                      "recipients_max");
    }
    auto parsed = parse_rcpt_to(argument);
    if (!parsed) return reject(parsed.error(), "address");
    recipients_.push_back(std::move(*parsed));
    return {250, "2.1.5", "ok"};
}

SmtpReply SmtpSession::reset(std::string_view argument) {
    if (!argument.empty()) return reject({501, "5.5.4", "RSET takes no argument"}, "syntax");
    begin_anew();
    return {250, "2.0.0", "ok"};
}

Task<> SmtpSession::data(std::string_view argument) {
    if (auto refusal = refusal_of_data(argument)) {
        const bool early_content = refusal->code == 554;
        say(*refusal);
        if (!early_content) co_return;
        open_ = false;
        co_return co_await linger();
    }
    say({354, "", "go on; end with <CRLF>.<CRLF>"});
    co_await flush();
    SmtpData content(SmtpLimits::message_bytes_max);
    const Result<void> received = co_await receive(&content);
    const uint64_t in_hand = content.bytes_kept();
    if (!received) {
        context_.in_hand_bytes -= in_hand;
        open_ = false;
        if (received.error().code == Errc::timeout) say(closing("idle too long in the content"));
        co_return;
    }
    const Instant last_octet = context_.clock.now();
    const SmtpReply reply = co_await judge(&content);
    context_.in_hand_bytes -= in_hand;
    say(reply);
    if (reply.positive()) {
        errors_ = 0;
        const std::chrono::duration<double> took = context_.clock.now() - last_octet;
        context_.metrics.histogram(metrics::catalog::ingest_ack_duration).observe(took.count());
    }
    begin_anew();
    if (content.progress() != SmtpData::Progress::complete) {
        open_ = false;
        co_await linger();
    }
}

std::optional<SmtpReply> SmtpSession::refusal_of_data(std::string_view argument) const {
    if (!argument.empty()) return reject({501, "5.5.4", "DATA takes no argument"}, "syntax");
    if (!sender_) return reject({503, "5.5.1", "MAIL comes first"}, "sequence");
    if (recipients_.empty()) return reject({503, "5.5.1", "no valid recipients"}, "sequence");
    // Were the content taken without its 354, it would be read as commands whenever DATA is
    // refused.
    if (!lines_.buffered().empty()) {
        return reject({554, "5.5.0", "content came before 354. Closing the connection"},
                      "sequence");
    }
    if (context_.in_hand_bytes >= SmtpLimits::in_hand_bytes_max) {
        return reject({452, "4.3.1", "too many messages come in at once; try again"}, "in_hand");
    }
    return std::nullopt;
}

Task<Result<void>> SmtpSession::receive(SmtpData* content) {
    while (content->progress() == SmtpData::Progress::more) {
        if (lines_.buffered().empty()) {
            stream_->expires_at(context_.clock.now() + SmtpLimits::idle);
            TRY(co_await lines_.fill());
        }
        const uint64_t before = content->bytes_kept();
        lines_.consume(content->take(lines_.buffered()));
        context_.in_hand_bytes +=
            content->bytes_kept() - before;  // may shrink: modulo 2^64 is meant
        if (content->bytes() > 2 * SmtpLimits::message_bytes_max) break;  // it will not end
    }
    co_return Result<void>();
}

Task<SmtpReply> SmtpSession::judge(SmtpData* content) {
    switch (content->progress()) {
        case SmtpData::Progress::bare_cr:
        case SmtpData::Progress::bare_lf:
            co_return reject({550, "5.6.0",
                              "the content holds a bare CR or LF; lines end in CRLF. Closing the "
                              "connection"},
                             "line_end");
        case SmtpData::Progress::more:
        case SmtpData::Progress::complete:
            break;
    }
    if (content->too_large()) {
        co_return reject(
            {552, "5.3.4",
             fmt::format("a message may have {} octets at most", SmtpLimits::message_bytes_max)},
            "too_large");
    }
    co_return co_await store(content->take_message());
}

Task<SmtpReply> SmtpSession::store(std::string message) {
    const engine::Origin origin{.host = context_.intake.node_name(),
                                .job = context_.intake.new_job_id(),
                                .time = context_.intake.now()};
    SmtpSubmission submission{.sender = std::move(*sender_),
                              .recipients = std::move(recipients_),
                              .message = std::move(message),
                              .helo = helo_,
                              .peer = stream_->peer(),
                              .protocol = esmtp_ ? "ESMTP" : "SMTP"};
    std::expected<SmtpJob, SmtpReply> job;
    co_await compile(&submission, origin, &job);
    if (!job) co_return reject(job.error(), "content");
    if (!job->idempotency_key.empty()) {
        co_return reject(
            {554, "5.6.0", "X-Sluice-Idempotency-Key: not offered over SMTP yet; use HTTP"},
            "content");
    }
    const size_t recipients = job->part.recipients.size();
    std::vector<engine::JobPart> parts;
    parts.push_back(std::move(job->part));
    const auto accepted = co_await context_.intake.accept(std::move(parts), {});
    if (!accepted) co_return refused_by(accepted.error());
    context_.metrics.counter(metrics::catalog::messages_accepted, {"smtp"}).add(recipients);
    co_return SmtpReply{250, "2.0.0", "queued as " + storage::to_text(origin.job)};
}

Task<> SmtpSession::compile(SmtpSubmission* submission, engine::Origin origin,
                            std::expected<SmtpJob, SmtpReply>* job) {
    if (submission->message.size() <= SmtpLimits::compile_here_bytes_max) {
        *job = make_smtp_job(std::move(*submission), origin);
        co_return;
    }
    co_await context_.worker.run(
        [submission, &origin, job] { *job = make_smtp_job(std::move(*submission), origin); });
}

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
        lines_.consume(lines_.buffered().size());
        if (!co_await lines_.fill()) co_return;
        bytes += lines_.buffered().size();
    }
}

void SmtpSession::say(const SmtpReply& reply) {
    // Refused recipients are no errors: one message may have thousands of them and still be a good
    // one.
    if ((reply.code >= 500 && reply.code <= 503) || reply.code == 555) ++errors_;
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

void SmtpSession::begin_anew() {
    sender_.reset();
    recipients_.clear();
}

}  // namespace

Task<> serve_smtp(std::unique_ptr<engine::Stream> stream, SmtpServerContext* context) {
    SmtpSession session(std::move(stream), *context);
    co_await session.run();
}

}  // namespace ingest
