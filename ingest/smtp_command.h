// Commands of a submission (RFC 5321 4.1.1, strictly): a line in, what it asks for or the refusal
// out. Pure. What is not exactly the grammar is refused, because what two readers take for two
// different things is how mail gets smuggled.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

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
    starttls,
    auth,
    mail,
    rcpt,
    data,
    bdat,
    rset,
    noop,
    vrfy,
    help,
    quit,
    not_offered,  // known to SMTP, but not here: EXPN, TURN, ETRN, BURL
    foreign,      // another protocol's: GET, POST; a browser was led here
    unknown
};

struct SmtpCommand {
    SmtpVerb verb = SmtpVerb::unknown;
    std::string_view argument;  // of the line; without the blanks around it
};
/// The error: octets that no command line may hold.
std::expected<SmtpCommand, SmtpReply> parse_smtp_command(std::string_view line);

/// What BDAT announces (RFC 3030). nullopt: nobody can tell how many octets follow, so none of what
/// follows may be read as a command.
struct SmtpChunk {
    uint64_t octets = 0;
    bool last = false;
};
std::optional<SmtpChunk> parse_bdat(std::string_view argument);

/// 1 to 20 digits (RFC 1870); a number beyond 64 bits is the largest.
std::optional<uint64_t> parse_octets(std::string_view digits);
/// ASCII case does not count.
bool same_word(std::string_view a, std::string_view b);
/// A domain or an address literal, as far as it can go into a Received field without harm.
bool is_helo_name(std::string_view name);

}  // namespace ingest
