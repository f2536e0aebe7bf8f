// The envelope of a submission: paths and parameters of MAIL and RCPT (RFC 5321, 1870, 3461, 4954,
// 6152, 6531, 8689), strictly. Pure.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "engine/delivery/intake.h"
#include "ingest/smtp_command.h"

namespace ingest {

/// Which parameters the session has offered, beside those that it always offers.
struct SmtpOffers {
    bool auth = false;
    bool require_tls = false;
};

struct MailFrom {
    std::string sender;            // empty: <>
    std::optional<uint64_t> size;  // as declared; larger than 64 bits: the largest
    std::string envid;             // decoded; empty: none
    storage::DsnReturn ret = storage::DsnReturn::unstated;
    bool utf8 = false;         // SMTPUTF8
    bool require_tls = false;  // REQUIRETLS
};
std::expected<MailFrom, SmtpReply> parse_mail_from(std::string_view argument, SmtpOffers offers);

enum class Utf8Addresses : uint8_t { refused, allowed };
/// The recipient's variables are left empty.
std::expected<engine::Recipient, SmtpReply> parse_rcpt_to(std::string_view argument,
                                                          Utf8Addresses utf8);

/// RFC 3461 4: printable ASCII as it is but for '+' and '=', which come as "+2B" and "+3D", upper
/// case. nullopt: it is none.
std::optional<std::string> decode_xtext(std::string_view text);

}  // namespace ingest
