// SmtpChunks: the content behind BDAT (RFC 3030), octet-exact. Where it ends is counted, so nothing
// in it can end it; its lines must end in CRLF all the same, because the next server may be told to
// take DATA.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace ingest {

class SmtpChunks {
  public:
    /// Of a message larger than `kept_max` octets only the size is kept.
    explicit SmtpChunks(uint64_t kept_max) : kept_max_(kept_max) {}

    /// The next octets, however they were cut into chunks and segments.
    void take(std::string_view octets);

    uint64_t bytes() const { return bytes_; }
    bool too_large() const { return bytes_ > kept_max_; }
    uint64_t bytes_kept() const { return message_.size(); }
    /// Asked at the end: a CR whose LF never came is one, too.
    bool has_bare_line_end() const { return bare_ || after_cr_; }
    std::string take_message() { return std::move(message_); }

  private:
    const uint64_t kept_max_;
    std::string message_;
    uint64_t bytes_ = 0;
    bool after_cr_ = false;
    bool bare_ = false;
};

}  // namespace ingest
