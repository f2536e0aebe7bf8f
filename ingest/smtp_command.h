// Commands of a submission (RFC 5321 4.1.1, strictly): a line in, what it asks for or the refusal
// out. Pure. What is not exactly the grammar is refused, because what two readers take for two
// different things is how mail gets smuggled.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "engine/delivery/intake.h"

namespace ingest {

/// `text` may have several lines, parted by '\n'. `enhanced` is empty where RFC 2034 wants none.
struct SmtpReply {
    uint16_t code = 0;
    std::string enhanced, text;
    std::string wire() const;
    bool positive() const { return code < 400; }
};

enum class SmtpVerb : uint8_t {
    ehlo,
    helo,
    mail,
    rcpt,
    data,
    rset,
    noop,
    vrfy,
    help,
    quit,
    not_offered,  // known to SMTP, but not here: AUTH, STARTTLS, BDAT, EXPN, TURN, ETRN
    unknown
};

struct SmtpCommand {
    SmtpVerb verb = SmtpVerb::unknown;
    std::string_view argument;  // of the line; without the blanks around it
};
/// The error: octets that no command line may hold.
std::expected<SmtpCommand, SmtpReply> parse_smtp_command(std::string_view line);

struct MailFrom {
    std::string sender;            // empty: <>
    std::optional<uint64_t> size;  // as declared; larger than 64 bits: the largest
};
std::expected<MailFrom, SmtpReply> parse_mail_from(std::string_view argument);
/// The recipient's variables are left empty.
std::expected<engine::Recipient, SmtpReply> parse_rcpt_to(std::string_view argument);
/// A domain or an address literal, as far as it can go into a Received field without harm.
bool is_helo_name(std::string_view name);

}  // namespace ingest
