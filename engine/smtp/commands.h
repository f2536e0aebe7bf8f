// Commands: the bytes of an envelope. Built from validated values only; that no CR, LF or NUL gets
// into a command is checked once more here, because one would let a submitter write commands of his
// own.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/smtp/capabilities.h"
#include "engine/smtp/mail.h"

namespace engine {

/// A command of a transaction, as far as its reply is concerned.
enum class Step : uint8_t { reset, mail, rcpt, data, content };
std::string_view name_of(Step step);  // "RCPT", "the content"

/// RSET (where one is needed), MAIL, RCPT…, and DATA unless the content goes behind a BDAT: all
/// bytes in one string, so that any run of them is one write. Parameters only where the host offers
/// their extension.
class Envelope {
  public:
    enum class Before : uint8_t { nothing, reset };
    enum class Tail : uint8_t { data, none };
    Envelope(const Mail& mail, const Capabilities& capabilities, Before before, Tail tail);

    size_t size() const { return commands_.size(); }
    Step step(size_t i) const { return commands_[i].step; }
    std::string_view bytes(size_t first, size_t count) const;

  private:
    void add(Step step, std::string_view command);
    struct Command {
        Step step;
        size_t end;  // in bytes_
    };
    std::string bytes_;
    std::vector<Command> commands_;
};

std::string ehlo_command(std::string_view name);
std::string helo_command(std::string_view name);

/// RFC 3461 4: octets beyond printable ASCII, '+' and '=' as "+" and two hexadecimal digits.
std::string xtext(std::string_view text);

bool has_eight_bit(std::string_view text);
/// An address or a header field is not ASCII.
bool needs_smtp_utf8(const Mail& mail);

}  // namespace engine
