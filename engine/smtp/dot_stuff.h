// Dot-stuffing (RFC 5321 4.5.2): content as it goes over the wire, without copying it where the
// text allows: a chunk ends with the dot that begins a line, and the next chunk begins with the
// same dot.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace engine {

class DotStuffer {
  public:
    static constexpr size_t block_bytes =
        size_t{256} * 1024;                       // at most twice that goes out with one write
    static constexpr size_t chunks_max = 64;      // of a block
    static constexpr size_t copied_below = 1024;  // smaller pieces are gathered by copying
    static constexpr size_t copied_max = size_t{32} * 1024;  // of a block

    /// `content` must outlive the stuffer.
    explicit DotStuffer(std::string_view content);

    /// The next block for one write, valid until the next call; empty when all is out. The last one
    /// ends in CRLF "." CRLF; a last line without its CRLF gets one.
    std::span<const std::string_view> next();
    bool done() const { return rest_.empty() && terminator_.empty(); }  // that was the last block

  private:
    std::string_view take_piece();
    void add(std::string_view piece);

    std::string_view rest_;
    std::string_view terminator_;  // empty once it is out
    bool at_line_start_ = true;    // and the dot there, if any, is not doubled yet
    std::vector<std::string_view> chunks_;
    std::string copied_;  // never grows beyond its reserve within a block: chunks_ look into it
};

/// Where the first CR or LF stands that is not part of a CRLF; npos when there is none. Such an
/// octet must never reach the wire: some receivers would take it for a line end and see a second
/// message.
size_t find_bare_line_end(std::string_view content);

}  // namespace engine
