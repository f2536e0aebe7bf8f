// Dialogue: what is written to a host and the replies that come back, without a view on what they
// mean. The session, STARTTLS and AUTH speak through it.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "engine/net/stream.h"
#include "engine/reactor/reactor.h"
#include "engine/reactor/task.h"
#include "engine/smtp/dialogue_tap.h"
#include "engine/smtp/reply_reader.h"

namespace engine {

class Dialogue {
  public:
    /// The stream must outlive the dialogue, which alone reads and writes it.
    Dialogue(Stream& stream, Clock& clock);

    /// Whether a tap hears what is written, or is told by the writer, who knows which of it is
    /// secret or content.
    enum class Aloud : uint8_t { yes, no };
    /// A failed write is only noted: what the host has said before it went still has to be read.
    Task<> write(std::span<const std::string_view> chunks, std::chrono::milliseconds allowed,
                 Aloud aloud = Aloud::yes);
    /// One reply. The error's text says in words what was waited for. After a failed write nobody
    /// waits long.
    Task<Result<Reply>> reply(std::chrono::milliseconds allowed, std::string_view to);
    /// One that has come already (see ReplyReader::next_here).
    std::optional<Reply> reply_here();
    /// A line, and the reply to it. Errors: also protocol, unsent, when something came that nobody
    /// had asked for. `name` is for people and must outlive the task: a literal.
    Task<Result<Reply>> command(std::string line, std::string_view name,
                                std::chrono::milliseconds allowed);

    /// Something has come that nobody has asked for: it would be taken for the next reply.
    bool out_of_step() const { return replies_->has_more(); }
    bool write_failed() const { return write_failed_; }

    /// From here on over another stream (STARTTLS). What was read ahead of the old one is
    /// forgotten: ask out_of_step() first.
    void go_over_to(Stream& stream);
    Stream& stream() { return *stream_; }
    Clock& clock() { return clock_; }

    /// `tap` must outlive the dialogue.
    void let_listen(DialogueTap& tap) { tap_ = &tap; }
    /// Whoever listens now; null nearly always.
    DialogueTap* listener() const { return tap_ && tap_->listens() ? tap_ : nullptr; }

  private:
    Stream* stream_;
    Clock& clock_;
    std::optional<ReplyReader> replies_;  // of stream_
    DialogueTap* tap_ = nullptr;
    bool write_failed_ = false;
};

inline constexpr char out_of_turn[] =
    "the host is out of step: it sent a reply that nothing had asked for";

}  // namespace engine
