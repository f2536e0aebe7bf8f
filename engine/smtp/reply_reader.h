// ReplyReader: whole replies out of a stream (RFC 5321 4.2), however TCP has split or joined them.
#pragma once

#include <optional>

#include "engine/net/line_reader.h"
#include "engine/smtp/reply.h"

namespace engine {

class ReplyReader {
  public:
    static constexpr size_t line_kept = 4096;         // octets of a line; the rest is dropped
    static constexpr size_t reply_bytes_max = 65536;  // beyond: protocol
    static constexpr size_t reply_lines_max = 100;

    explicit ReplyReader(Stream& stream)
        : stream_(stream), lines_(stream, {.kept = line_kept, .line_max = reply_bytes_max}) {}

    /// The next reply; one deadline for the whole of it, so that a drip cannot hold a slot.
    /// Consumes exactly one reply: pipelined ones stay queued. Errors: those of Stream::read;
    /// protocol for what is no reply, for codes that differ between lines and for a reply beyond
    /// the limits.
    Task<Result<Reply>> next(Instant deadline);

    /// The next reply when it is one line and here already, which of a group's replies nearly all
    /// are: without the frames of a task. Nothing, and nothing consumed, when only next() can tell.
    std::optional<Reply> next_here();

    /// Something has come that nobody has waited for yet. True before a command is sent: the
    /// dialogue is out of step.
    bool has_more() const { return !lines_.buffered().empty(); }

  private:
    Stream& stream_;
    LineReader lines_;
};

}  // namespace engine
