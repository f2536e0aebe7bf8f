// What is sent: addresses, contents and requests, made by number, so that a run can be repeated and
// nothing is stored.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bench/arguments.h"

namespace load {

/// Domains by number: "d{0..199}.demo.test" stands for 200, a text without braces for one.
class DomainPattern {
  public:
    /// Errors: a brace without its partner, a range that runs backwards.
    static bench::Parsed<DomainPattern> parse(std::string_view text);

    /// The domain of the n-th recipient; they take turns.
    void append(std::string& out, uint64_t n) const;

  private:
    std::string before_, after_;
    uint64_t first_ = 0;
    uint64_t count_ = 0;  // 0: no range
};

struct CorpusOptions {
    DomainPattern domains;
    std::string from = "bounce@load.test";
    std::string campaign = "load";
    std::string job_class = "bulk";
    std::string send_at;   // RFC 3339; empty: at once
    uint64_t size = 2048;  // octets of the text
    unsigned vars = 0;     // placeholders in it, and variables of each recipient
    uint64_t first = 0;    // number of the first recipient
};

class Corpus {
  public:
    explicit Corpus(CorpusOptions options);

    /// "u17@d17.demo.test"
    void append_address(std::string& out, uint64_t n) const;

    /// A request body for POST /v1/messages with the recipients n … n + count - 1.
    std::string json_job(uint64_t n, unsigned count) const;

    /// The first line of a job in NDJSON, with its newline.
    const std::string& job_line() const { return job_line_; }

    /// The line of recipient n in NDJSON, with its newline.
    void append_recipient_line(std::string& out, uint64_t n) const;

    /// A whole message for SMTP, CRLF at the ends of its lines and no line that begins with a dot.
    const std::string& message() const { return message_; }
    const std::string& from() const { return options_.from; }

  private:
    void append_recipient(std::string& out, uint64_t n) const;

    CorpusOptions options_;
    std::string job_;  // the members of a job without its recipients and without braces
    std::string job_line_;
    std::string message_;
};

}  // namespace load
