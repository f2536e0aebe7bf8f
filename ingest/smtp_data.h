// SmtpData: the content behind 354, octet-exact and at the speed of memory. It ends at CRLF "."
// CRLF and at nothing else; a bare CR or LF is refused, whatever it looks like, so that nobody can
// hide a second message behind a line end that we see and the next server does not (or the other
// way round).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace ingest {

class SmtpData {
  public:
    enum class Progress : uint8_t { more, complete, bare_cr, bare_lf };

    /// Of a message larger than `kept_max` octets only the size is kept.
    explicit SmtpData(uint64_t kept_max) : kept_max_(kept_max) {}

    /// Takes the octets up to the end of the content and returns how many that were: all of them
    /// while there is more. Nothing after complete, bare_cr or bare_lf.
    size_t take(std::string_view bytes);

    Progress progress() const { return progress_; }
    /// Octets of the message, without the dots that were stuffed; those not kept, too.
    uint64_t bytes() const { return bytes_; }
    bool too_large() const { return bytes_ > kept_max_; }
    uint64_t bytes_kept() const { return message_.size(); }
    std::string take_message() { return std::move(message_); }

  private:
    enum class At : uint8_t { line_start, text, cr, dot, dot_cr };
    size_t take_text(std::string_view bytes);
    void keep(std::string_view bytes);

    const uint64_t kept_max_;
    std::string message_;
    uint64_t bytes_ = 0;
    At at_ = At::line_start;
    Progress progress_ = Progress::more;
};

}  // namespace ingest
