// LineReader: lines out of a Stream, however TCP has cut them. It judges nothing: it says how a
// line ended and whether a bare CR stands in it, and the caller decides (a submission refuses such
// a line, a reply is taken all the same, so that one sloppy peer does not put the dialogue out of
// step).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "engine/net/stream.h"

namespace engine {

struct LineLimits {
    size_t kept = 4096;       // octets of a line that are kept; the rest is read and dropped
    size_t line_max = 65536;  // octets after which a line without an end is an error
};

struct Line {
    std::string_view text;  // without its end; valid until the next call of the reader
    size_t length = 0;      // of the whole line, without its end
    bool clean = true;      // ended in CRLF and holds no other CR
    bool truncated() const { return text.size() < length; }  // longer than LineLimits::kept
};

class LineReader {
  public:
    LineReader(Stream& stream, LineLimits limits) : stream_(stream), limits_(limits) {}

    /// The next line. Ends at LF in any case, so that what follows is never taken for a part of it.
    /// Errors: those of Stream::read; protocol when a line goes on beyond line_max.
    Task<Result<Line>> next();

    /// Bytes that are here and not yet consumed; valid until the next next() or fill(). For
    /// content, which is taken in bulk and not by lines.
    std::string_view buffered() const { return rest_; }
    void consume(size_t bytes);
    /// Reads from the stream; only when nothing is buffered.
    Task<Result<void>> fill();

  private:
    Stream& stream_;
    LineLimits limits_;
    std::string_view rest_;  // of the stream's last segment
    std::string partial_;    // of a line that came in several segments, at most limits_.kept octets
};

}  // namespace engine
