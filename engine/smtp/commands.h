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

/// RSET (when the last transaction was left open), MAIL, RCPT…, DATA: all bytes in one string, so
/// that any run of them is one write.
class Envelope {
  public:
    enum class Before : uint8_t { nothing, reset };
    Envelope(const Mail& mail, const Capabilities& capabilities, Before before);

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

bool has_eight_bit(std::string_view text);
bool needs_smtp_utf8(const Mail& mail);

}  // namespace engine
