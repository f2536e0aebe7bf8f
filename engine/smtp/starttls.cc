#include "engine/smtp/starttls.h"

namespace engine {

namespace {

Verdict no_tls_verdict(Failure failure, Reply reply) {
    return {.kind = Verdict::Kind::deferred,
            .stage = Stage::tls,
            .reply = std::move(reply),
            .failure = failure};
}

std::string words_for(const Error& error, std::chrono::milliseconds allowed) {
    switch (error.code) {
        case Errc::timeout:
            return "the TLS handshake did not end within " +
                   std::to_string(allowed.count() / 1000) + " s";
        case Errc::closed:
            return "the host closed the connection in the TLS handshake";
        case Errc::reset:
            return "the connection was cut in the TLS handshake";
        default:
            return error.what;
    }
}

}  // namespace

Task<TlsStarted> start_tls(Dialogue* dialogue, TlsStart with, std::chrono::milliseconds allowed) {
    Result<Reply> reply = co_await dialogue->command("STARTTLS\r\n", "STARTTLS", allowed);
    if (!reply) {
        const Failure why = failure_of(reply.error().code);
        co_return std::unexpected(no_tls_verdict(why, {.text = std::move(reply.error().what)}));
    }
    if (dialogue->out_of_step()) {
        co_return std::unexpected(no_tls_verdict(
            Failure::out_of_step,
            {.text = "the host, or somebody on the way, sent plaintext behind its reply to "
                     "STARTTLS; the connection was dropped"}));
    }
    if (reply->code == 421) {
        co_return std::unexpected(no_tls_verdict(Failure::end_of_connection, std::move(*reply)));
    }
    if (reply->transient() || reply->permanent()) {
        co_return std::unexpected(no_tls_verdict(Failure::no_tls, std::move(*reply)));
    }
    if (reply->code != 220) {
        co_return std::unexpected(no_tls_verdict(Failure::out_of_step, std::move(*reply)));
    }
    co_return co_await shake_hands(dialogue, std::move(with), allowed);
}

Task<TlsStarted> shake_hands(Dialogue* dialogue, TlsStart with, std::chrono::milliseconds allowed) {
    auto stream = std::make_unique<TlsStream>(dialogue->stream(), std::move(with.context));
    stream->expect(with.host, with.demand, with.sessions, &dialogue->clock());
    stream->expires_at(dialogue->clock().now() + allowed);
    const Result<void> done = co_await stream->handshake(with.worker);
    if (!done) {
        Reply words{.text = words_for(done.error(), allowed)};
        co_return std::unexpected(no_tls_verdict(Failure::tls_failed, std::move(words)));
    }
    TlsLine line{std::move(stream), nullptr};
    if (with.listen) line.heard = with.listen(*line.stream);
    dialogue->go_over_to(line.heard ? *line.heard : *line.stream);
    co_return line;
}

}  // namespace engine
