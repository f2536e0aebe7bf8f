// Content: behind DATA until CRLF.CRLF, or behind BDAT by count; then to the intake.
#include <fmt/format.h>

#include <utility>

#include "ingest/smtp_session.h"
#include "metrics/catalog.h"
#include "storage/ids.h"

namespace ingest {

using engine::Errc;
using engine::Instant;
using engine::Result;
using engine::Task;

namespace {

SmtpReply too_large() {
    return {552, "5.3.4",
            fmt::format("a message may have {} octets at most", SmtpLimits::message_bytes_max)};
}

}  // namespace

/// A peer that sends a few octets now and then must not hold memory for ever.
Instant SmtpSession::content_deadline(uint64_t bytes) const {
    const auto paced = SmtpLimits::content_grace +
                       std::chrono::seconds(bytes / SmtpLimits::content_bytes_per_second_min);
    return transaction_->content_begun +
           std::min<std::chrono::seconds>(paced, SmtpLimits::content_total_max);
}

void SmtpSession::lost(const engine::Error& error) {
    open_ = false;
    begin_anew();
    if (error.code == Errc::timeout) say(reject(closing("the content comes too slowly"), "slow"));
}

// ---- DATA

Task<> SmtpSession::data(std::string_view argument) {
    if (auto refusal = refusal_of_data(argument)) {
        if (refusal->code != 554) co_return say(*refusal);
        co_return co_await part(std::move(*refusal));
    }
    say({354, "", "go on; end with <CRLF>.<CRLF>"});
    co_await flush();
    transaction_->content_begun = context_.clock.now();
    SmtpData content(SmtpLimits::message_bytes_max);
    SmtpInHand in_hand(context_.in_hand_bytes);
    const Result<void> received = co_await receive(&content, &in_hand);
    if (!received) co_return lost(received.error());
    if (content.progress() != SmtpData::Progress::complete) {
        const bool bare = content.progress() != SmtpData::Progress::more;
        SmtpReply reply = bare ? SmtpReply{550, "5.6.0",
                                           "the content holds a bare CR or LF; lines end in CRLF. "
                                           "Closing the connection"}
                               : too_large();
        co_return co_await part(reject(std::move(reply), bare ? "line_end" : "too_large"));
    }
    if (content.too_large()) {
        begin_anew();
        co_return say(reject(too_large(), "too_large"));
    }
    co_await finish(content.take_message());
}

std::optional<SmtpReply> SmtpSession::refusal_of_data(std::string_view argument) const {
    if (!argument.empty()) return reject({501, "5.5.4", "DATA takes no argument"}, "syntax");
    if (!transaction_) return reject({503, "5.5.1", "MAIL comes first"}, "sequence");
    if (transaction_->chunks) {
        return reject({503, "5.5.1", "the content began with BDAT and must end so"}, "sequence");
    }
    if (transaction_->recipients.empty()) {
        return reject({503, "5.5.1", "no valid recipients"}, "sequence");
    }
    // Were the content taken without its 354, it would be read as commands whenever DATA is
    // refused.
    if (!lines_->buffered().empty()) {
        return reject({554, "5.5.0", "content came before 354. Closing the connection"},
                      "sequence");
    }
    if (context_.in_hand_bytes >= SmtpLimits::in_hand_bytes_max) {
        return reject({452, "4.3.1", "too many messages come in at once; try again"}, "in_hand");
    }
    return std::nullopt;
}

Task<Result<void>> SmtpSession::receive(SmtpData* content, SmtpInHand* in_hand) {
    while (content->progress() == SmtpData::Progress::more) {
        if (lines_->buffered().empty()) {
            stream_->expires_at(std::min(context_.clock.now() + SmtpLimits::idle,
                                         content_deadline(content->bytes())));
            TRY(co_await lines_->fill());
        }
        lines_->consume(content->take(lines_->buffered()));
        in_hand->set(content->bytes_kept());
        if (content->bytes() > SmtpLimits::skipped_bytes_max) break;  // it will not end
    }
    co_return Result<void>();
}

// ---- BDAT

Task<> SmtpSession::bdat(std::string_view argument) {
    const auto chunk = parse_bdat(argument);
    if (!chunk) {
        co_return co_await part(
            reject({501, "5.5.4",
                    "wants BDAT octets, or BDAT octets LAST; what follows cannot be told from "
                    "commands. Closing the connection"},
                   "syntax"));
    }
    if (auto refusal = refusal_of_chunk(*chunk)) {
        // Its octets are on the way all the same, and further chunks may be behind them: those find
        // no transaction (RFC 3030 2).
        begin_anew();
        if (chunk->octets > SmtpLimits::skipped_bytes_max) co_return co_await part(*refusal);
        const Result<void> skipped = co_await receive_chunk(chunk->octets, nullptr);
        if (!skipped) co_return lost(skipped.error());
        co_return say(*refusal);
    }
    if (!transaction_->chunks) {
        transaction_->chunks.emplace(context_.in_hand_bytes);
        transaction_->content_begun = context_.clock.now();
    }
    const Result<void> received = co_await receive_chunk(chunk->octets, &*transaction_->chunks);
    if (!received) co_return lost(received.error());
    commands_ = 0;
    SmtpChunks& content = transaction_->chunks->content;
    if (!chunk->last) {
        co_return say({250, "2.0.0", fmt::format("{} octets taken", chunk->octets)});
    }
    if (content.has_bare_line_end()) {
        begin_anew();
        co_return say(reject({550, "5.6.0", "the content holds a bare CR or LF; lines end in CRLF"},
                             "line_end"));
    }
    co_await finish(content.take_message());
}

std::optional<SmtpReply> SmtpSession::refusal_of_chunk(const SmtpChunk& chunk) const {
    if (!transaction_) return reject({503, "5.5.1", "MAIL comes first"}, "sequence");
    if (transaction_->recipients.empty()) {
        return reject({503, "5.5.1", "no valid recipients"}, "sequence");
    }
    const uint64_t before = transaction_->chunks ? transaction_->chunks->content.bytes() : 0;
    if (chunk.octets > SmtpLimits::message_bytes_max - before) {
        return reject(too_large(), "too_large");
    }
    if (context_.in_hand_bytes >= SmtpLimits::in_hand_bytes_max) {
        return reject({452, "4.3.1", "too many messages come in at once; try again"}, "in_hand");
    }
    return std::nullopt;
}

/// Takes exactly so many octets, into the message or, without one, nowhere.
Task<Result<void>> SmtpSession::receive_chunk(uint64_t octets, SmtpChunked* into) {
    const Instant skipped_by = context_.clock.now() + SmtpLimits::content_grace;
    while (octets > 0) {
        if (lines_->buffered().empty()) {
            co_await flush();  // the peer may wait for what was said before
            stream_->expires_at(into ? patience() : skipped_by);
            TRY(co_await lines_->fill());
        }
        const std::string_view part = lines_->buffered().substr(0, octets);
        if (into) {
            into->content.take(part);
            into->in_hand.set(into->content.bytes_kept());
        }
        octets -= part.size();
        lines_->consume(part.size());
    }
    co_return Result<void>();
}

// ---- to the intake

Task<> SmtpSession::finish(std::string message) {
    const Instant last_octet = context_.clock.now();
    const SmtpReply reply = co_await store(std::move(message));
    say(reply);
    if (reply.positive()) {
        errors_ = 0;
        commands_ = 0;
        const std::chrono::duration<double> took = context_.clock.now() - last_octet;
        context_.metrics.histogram(metrics::catalog::ingest_ack_duration).observe(took.count());
    }
    begin_anew();
}

/// RFC 3848 and 6531 4.3: S for TLS, A for AUTH.
SmtpTrace SmtpSession::trace() const {
    SmtpTrace trace;
    trace.protocol = transaction_->mail.utf8 ? "UTF8SMTP" : esmtp_ ? "ESMTP" : "SMTP";
    if (trace.protocol != "SMTP") {
        if (tls_) trace.protocol += 'S';
        if (standing_ == Standing::logged_in) trace.protocol += 'A';
    }
    if (standing_ == Standing::logged_in) return trace;
    trace.helo = helo_;
    if (!ip_.empty()) trace.peer = fmt::format("[{}{}]", ip_.contains(':') ? "IPv6:" : "", ip_);
    return trace;
}

Task<SmtpReply> SmtpSession::store(std::string message) {
    const engine::Origin origin{.host = context_.intake.node_name(),
                                .job = context_.intake.new_job_id(),
                                .time = context_.intake.now()};
    SmtpSubmission submission{.mail = transaction_->mail,
                              .recipients = std::move(transaction_->recipients),
                              .message = std::move(message),
                              .trace = trace(),
                              .tenant = tenant_,
                              .known_pool = [&intake = context_.intake](std::string_view name) {
                                  return intake.has_pool(name);
                              }};
    std::expected<SmtpJob, SmtpReply> job;
    co_await compile(&submission, origin, &job);
    if (!job) co_return reject(job.error(), "content");
    if (!job->idempotency_key.empty()) co_return co_await store_once(*std::move(job));
    co_return co_await accept(std::move(job->part), {});
}

Task<SmtpReply> SmtpSession::accept(engine::JobPart part,
                                    std::vector<storage::IdempotencyRecord> records) {
    const size_t recipients = part.recipients.size();
    const std::string id = storage::to_text(part.job->job.id);
    std::vector<engine::JobPart> parts;
    parts.push_back(std::move(part));
    const auto accepted = co_await context_.intake.accept(std::move(parts), std::move(records));
    if (!accepted) co_return refused_by(accepted.error());
    context_.metrics.counter(metrics::catalog::messages_accepted, {"smtp"}).add(recipients);
    co_return SmtpReply{250, "2.0.0", "queued as " + id};
}

Task<SmtpReply> SmtpSession::store_once(SmtpJob job) {
    if (!context_.keys) {
        co_return reject({554, "5.6.0", "X-Sluice-Idempotency-Key: no keys are kept here"},
                         "idempotency");
    }
    const storage::WallTime now = context_.intake.now();
    const storage::Job& stored = job.part.job->job;
    storage::IdempotencyRecord record{.tenant = stored.tenant,
                                      .key = std::move(job.idempotency_key),
                                      .digest = std::move(job.digest),
                                      .answer = storage::to_text(stored.id),
                                      .expires = now + idempotency_kept};
    KeyLease lease(context_.keys->keys, context_.keys->post);
    const PastUse past = co_await reserve_key(&lease, *context_.keys, record, now);
    switch (past.kind) {
        case PastUse::Kind::none:
            break;
        case PastUse::Kind::same:
            co_return SmtpReply{250, "2.0.0", "queued before as " + past.text};
        case PastUse::Kind::other_body:
            co_return reject({554, "5.6.0",
                              "X-Sluice-Idempotency-Key: was used with another message within 24 "
                              "hours; a new message needs a new key"},
                             "idempotency");
        case PastUse::Kind::busy:
            co_return reject({451, "4.3.0", "X-Sluice-Idempotency-Key: too many wait for it"},
                             "idempotency");
        case PastUse::Kind::failed:
            co_return reject({451, "4.3.0", past.text}, "storage_failed");
    }
    std::vector<storage::IdempotencyRecord> records;
    records.push_back(std::move(record));
    co_return co_await accept(std::move(job.part), std::move(records));
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

}  // namespace ingest
