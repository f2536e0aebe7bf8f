// The content of one message as it arrives: transparency taken off (RFC 5321 section 4.5.2),
// measured, checked and, when asked for, digested or kept.
#pragma once
#include <openssl/evp.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace sink {

/// Breaches of the protocol that the sink notices in a message's octets.
struct Faults {
    bool bare_newline = false;  // CR or LF alone (RFC 5321 section 2.3.8)
    bool long_line = false;     // more than 1,000 octets with its CRLF (section 4.5.3.1.6)
    bool eight_bit = false;     // an octet above 127
};

enum class Keep : uint8_t { nothing, digest, digest_and_octets };

class Body {
  public:
    explicit Body(Keep keep);

    /// Forgets the last message.
    void start();

    /// Takes what belongs to the message from the octets behind DATA and returns how many those
    /// are; finished() tells whether CRLF "." CRLF was met, and what follows it is left alone.
    size_t take_data(std::string_view input);
    bool finished() const { return match_ == Match::end; }

    /// Takes octets of a BDAT chunk: all of them are content.
    void take_chunk(std::string_view octets) { add(octets); }

    uint64_t size() const { return size_; }
    Faults faults() const;

    /// Lower-case hexadecimal SHA-256 of the content; call it once, when the message is complete.
    std::string digest();

    /// The content, when it is kept; cut off behind octets_kept_max.
    const std::string& octets() const { return octets_; }
    static constexpr size_t octets_kept_max = 64 << 20;

  private:
    // How much of the end mark, CR LF . CR LF, the last octets matched.
    enum class Match : uint8_t { none, cr, line_start, dot, dot_cr, end };

    void add(std::string_view octets);
    void check_lines(std::string_view octets);

    struct Free {
        void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
    };

    Keep keep_;
    std::unique_ptr<EVP_MD_CTX, Free> sha_;
    std::string octets_;
    uint64_t size_ = 0;
    uint64_t column_ = 0;
    Match match_ = Match::line_start;
    bool last_was_cr_ = false;
    Faults faults_;
};

}  // namespace sink
