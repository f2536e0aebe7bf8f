#include "engine/smtp/dialogue.h"

#include <algorithm>

namespace engine {

namespace {

/// After a failed write the host is gone or deaf: what it has said by then still counts, but nobody
/// waits minutes for it.
constexpr auto after_failed_write = std::chrono::seconds(5);

std::string in_words(const Error& error, std::chrono::milliseconds waited, std::string_view to) {
    const std::string reply = std::string("the host's reply to ").append(to);
    switch (error.code) {
        case Errc::timeout:
            return "timed out after " + std::to_string(waited.count() / 1000) + " s waiting for " +
                   reply;
        case Errc::closed:
            return "the connection was closed before " + reply;
        case Errc::reset:
            return "the connection was cut before " + reply;
        default: {
            const std::string_view cause = error.what.empty() ? to_string(error.code) : error.what;
            return std::string(cause).append(" in place of ").append(reply);
        }
    }
}

}  // namespace

Dialogue::Dialogue(Stream& stream, Clock& clock)
    : stream_(&stream), clock_(clock), replies_(stream) {}

Task<> Dialogue::write(std::span<const std::string_view> chunks, std::chrono::milliseconds allowed,
                       Aloud aloud) {
    if (DialogueTap* const tap = listener(); tap && aloud == Aloud::yes)
        for (const std::string_view chunk : chunks) tap->we_say(chunk);
    stream_->expires_at(clock_.now() + allowed);
    const Result<void> written = co_await stream_->write(chunks);
    if (written) co_return;
    write_failed_ = true;
    if (DialogueTap* const tap = listener())
        tap->note(std::string("could not be written: ").append(to_string(written.error().code)));
}

Task<Result<Reply>> Dialogue::reply(std::chrono::milliseconds allowed, std::string_view to) {
    if (write_failed_) allowed = std::min<std::chrono::milliseconds>(allowed, after_failed_write);
    Result<Reply> result = co_await replies_->next(clock_.now() + allowed);
    if (!result) result.error().what = in_words(result.error(), allowed, to);
    if (DialogueTap* const tap = listener())
        result ? tap->host_says(*result) : tap->note(result.error().what);
    co_return result;
}

std::optional<Reply> Dialogue::reply_here() {
    std::optional<Reply> reply = replies_->next_here();
    if (DialogueTap* const tap = listener(); tap && reply) tap->host_says(*reply);
    return reply;
}

Task<Result<Reply>> Dialogue::command(std::string line, std::string_view name,
                                      std::chrono::milliseconds allowed) {
    if (out_of_step()) co_return failure(Errc::protocol, out_of_turn);
    const std::string_view chunks[] = {line};
    co_await write(chunks, allowed);
    co_return co_await reply(allowed, name);
}

void Dialogue::go_over_to(Stream& stream) {
    stream_ = &stream;
    replies_.emplace(stream);
}

}  // namespace engine
