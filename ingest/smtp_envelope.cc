#include "ingest/smtp_envelope.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace ingest {

namespace {

constexpr size_t path_octets_max = 256;   // RFC 5321 4.5.3.1.3
constexpr size_t envid_octets_max = 100;  // RFC 3461 4.4
constexpr size_t orcpt_octets_max = 500;  // RFC 3461 4.2

std::unexpected<SmtpReply> refuse(uint16_t code, std::string enhanced, std::string text) {
    return std::unexpected(SmtpReply{code, std::move(enhanced), std::move(text)});
}

SmtpReply bad_parameter(std::string text) {
    return {501, "5.5.4", std::move(text)};
}

/// Where the '>' of a path stands that begins at 0 with '<'; a '>' in a quoted local part is none.
size_t end_of_path(std::string_view text) {
    bool quoted = false;
    for (size_t i = 1; i < text.size(); ++i) {
        if (quoted && text[i] == '\\')
            ++i;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (text[i] == '>' && !quoted)
            return i;
    }
    return std::string_view::npos;
}

struct Path {
    std::string_view address;
    std::vector<std::string_view> parameters;
};

/// "FROM:<address> PARAMETER PARAMETER"; `keyword` is "FROM:" or "TO:".
std::expected<Path, SmtpReply> parse_path(std::string_view text, std::string_view keyword) {
    const std::string usage = std::string(keyword) + "<address>";
    if (!same_word(text.substr(0, keyword.size()), keyword)) {
        return refuse(501, "5.5.2", "expected " + usage);
    }
    text.remove_prefix(keyword.size());
    if (text.starts_with(' ')) {
        return refuse(
            501, "5.5.2",
            "no space may stand between " + std::string(keyword) + " and <address> (RFC 5321 3.3)");
    }
    const size_t end = text.starts_with('<') ? end_of_path(text) : std::string_view::npos;
    if (end == std::string_view::npos) return refuse(501, "5.5.2", "expected " + usage);
    if (end + 1 > path_octets_max) {
        return refuse(501, "5.1.3", "the address has more than 254 octets (RFC 5321 4.5.3.1.3)");
    }
    Path path{.address = text.substr(1, end - 1)};
    text.remove_prefix(end + 1);
    while (!text.empty()) {
        if (text.front() != ' ') return refuse(501, "5.5.2", "expected a space behind " + usage);
        text.remove_prefix(1);
        const std::string_view word = text.substr(0, text.find(' '));
        if (word.empty()) return refuse(501, "5.5.2", "one space may stand between parameters");
        path.parameters.push_back(word);
        text.remove_prefix(word.size());
    }
    return path;
}

struct Parameter {
    std::string_view name;
    std::optional<std::string_view> value;  // of "NAME=value"
};

Parameter split(std::string_view word) {
    const size_t equals = word.find('=');
    if (equals == std::string_view::npos) return {word, std::nullopt};
    return {word.substr(0, equals), word.substr(equals + 1)};
}

using Complaint = std::optional<SmtpReply>;

Complaint take_size(MailFrom& mail, const Parameter& p, SmtpOffers) {
    mail.size = parse_octets(p.value.value_or(""));
    if (mail.size) return std::nullopt;
    return bad_parameter("SIZE= wants a number of octets");
}

/// What the message really holds is seen when it is here.
Complaint take_body(MailFrom&, const Parameter& p, SmtpOffers) {
    const std::string_view value = p.value.value_or("");
    if (same_word(value, "7BIT") || same_word(value, "8BITMIME")) return std::nullopt;
    return bad_parameter("BODY= wants 7BIT or 8BITMIME");
}

Complaint take_utf8(MailFrom& mail, const Parameter& p, SmtpOffers) {
    mail.utf8 = true;
    if (!p.value) return std::nullopt;
    return bad_parameter("SMTPUTF8 takes no value");
}

Complaint take_ret(MailFrom& mail, const Parameter& p, SmtpOffers) {
    const std::string_view value = p.value.value_or("");
    mail.ret = same_word(value, "FULL") ? storage::DsnReturn::full : storage::DsnReturn::headers;
    if (mail.ret == storage::DsnReturn::full || same_word(value, "HDRS")) return std::nullopt;
    return bad_parameter("RET= wants FULL or HDRS");
}

bool is_printable(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return c >= ' ' && c < 0x7f; });
}

Complaint take_envid(MailFrom& mail, const Parameter& p, SmtpOffers) {
    const std::string_view value = p.value.value_or("");
    if (value.size() > envid_octets_max) {
        return bad_parameter("ENVID= takes 100 octets at most (RFC 3461 4.4)");
    }
    const auto decoded = decode_xtext(value);
    if (!decoded || decoded->empty() || !is_printable(*decoded)) {
        return bad_parameter("ENVID= wants printable text in xtext (RFC 3461 4)");
    }
    mail.envid = *decoded;
    return std::nullopt;
}

/// Who may submit has been decided; a relay's word for somebody else adds nothing (RFC 4954 5).
Complaint take_auth(MailFrom&, const Parameter& p, SmtpOffers offers) {
    if (!offers.auth) return SmtpReply{555, "5.5.4", "AUTH is not offered in this session"};
    if (p.value && !p.value->empty() && decode_xtext(*p.value)) return std::nullopt;
    return bad_parameter("AUTH= wants an address in xtext, or <>");
}

Complaint take_require_tls(MailFrom& mail, const Parameter& p, SmtpOffers offers) {
    if (!offers.require_tls) {
        return SmtpReply{555, "5.7.10", "REQUIRETLS is offered in sessions with TLS only"};
    }
    mail.require_tls = true;
    if (!p.value) return std::nullopt;
    return bad_parameter("REQUIRETLS takes no value");
}

struct MailParameter {
    std::string_view name;
    Complaint (*take)(MailFrom&, const Parameter&, SmtpOffers);
};
constexpr std::array mail_parameters = {
    MailParameter{"SIZE", take_size},
    MailParameter{"BODY", take_body},
    MailParameter{"SMTPUTF8", take_utf8},
    MailParameter{"RET", take_ret},
    MailParameter{"ENVID", take_envid},
    MailParameter{"AUTH", take_auth},
    MailParameter{"REQUIRETLS", take_require_tls},
};

/// NEVER, or any of the three others, each once (RFC 3461 4.1).
std::optional<uint8_t> parse_notify(std::string_view list) {
    if (same_word(list, "NEVER")) return storage::notify::never;
    constexpr std::pair<std::string_view, uint8_t> words[] = {
        {"SUCCESS", storage::notify::success},
        {"FAILURE", storage::notify::failure},
        {"DELAY", storage::notify::delay},
    };
    uint8_t bits = 0;
    for (;;) {
        const size_t comma = list.find(',');
        const std::string_view word = list.substr(0, comma);
        const auto known = std::ranges::find_if(
            words, [&](const auto& entry) { return same_word(entry.first, word); });
        if (known == std::end(words) || (bits & known->second)) return std::nullopt;
        bits |= known->second;
        if (comma == std::string_view::npos) return bits;
        list.remove_prefix(comma + 1);
    }
}

bool is_address_type(std::string_view type) {
    const auto good = [](char c) {
        return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-';
    };
    return !type.empty() && std::ranges::all_of(type, good);
}

/// "rfc822;a+40x.example" as "rfc822;a@x.example". Of an address that has octets above 127 the type
/// is utf-8 (RFC 6533), and those may come as they are where SMTPUTF8 was asked for.
std::optional<std::string> parse_orcpt(std::string_view value, Utf8Addresses utf8) {
    const size_t semicolon = value.find(';');
    if (semicolon == std::string_view::npos || value.size() > orcpt_octets_max) return std::nullopt;
    const std::string_view type = value.substr(0, semicolon);
    const std::string_view address = value.substr(semicolon + 1);
    if (!is_address_type(type)) return std::nullopt;
    std::string ascii(address);
    if (utf8 == Utf8Addresses::allowed && same_word(type, "utf-8")) {
        std::erase_if(ascii, [](char c) { return static_cast<unsigned char>(c) > 127; });
        if (ascii.size() < address.size()) {
            return decode_xtext(ascii) ? std::optional(std::string(value)) : std::nullopt;
        }
    }
    const auto decoded = decode_xtext(ascii);
    if (!decoded || decoded->empty() || !is_printable(*decoded)) return std::nullopt;
    return std::string(type) + ";" + *decoded;
}

bool is_ascii(std::string_view text) {
    return std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) > 127; });
}

std::expected<engine::Address, SmtpReply> parse_mailbox(std::string_view text,
                                                        std::string_view enhanced,
                                                        Utf8Addresses utf8) {
    if (utf8 == Utf8Addresses::refused && !is_ascii(text)) {
        return refuse(553, "5.6.7", "this address needs SMTPUTF8 behind MAIL FROM (RFC 6531 3.4)");
    }
    auto address = engine::parse_address(text);
    if (!address) return refuse(553, std::string(enhanced), address.error());
    return std::move(*address);
}

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

}  // namespace

std::optional<std::string> decode_xtext(std::string_view text) {
    std::string decoded;
    for (size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c < '!' || c > '~' || c == '=') return std::nullopt;
        if (c != '+') {
            decoded += c;
            continue;
        }
        if (i + 2 >= text.size()) return std::nullopt;
        const int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
        if (high < 0 || low < 0) return std::nullopt;
        decoded += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return decoded;
}

std::expected<MailFrom, SmtpReply> parse_mail_from(std::string_view argument, SmtpOffers offers) {
    auto path = parse_path(argument, "FROM:");
    if (!path) return std::unexpected(std::move(path).error());
    MailFrom mail;
    unsigned seen = 0;
    for (const std::string_view word : path->parameters) {
        const Parameter parameter = split(word);
        const auto known = std::ranges::find_if(mail_parameters, [&](const MailParameter& p) {
            return same_word(p.name, parameter.name);
        });
        if (known == mail_parameters.end()) {
            return refuse(555, "5.5.4",
                          "MAIL takes no parameter of this name: " + std::string(parameter.name));
        }
        const unsigned bit = 1u << (known - mail_parameters.begin());
        if (seen & bit) {
            return std::unexpected(bad_parameter(std::string(known->name) + " is given twice"));
        }
        seen |= bit;
        if (auto wrong = known->take(mail, parameter, offers)) {
            return std::unexpected(std::move(*wrong));
        }
    }
    if (path->address.empty()) return mail;  // the null reverse-path
    const auto address = parse_mailbox(path->address, "5.1.7",
                                       mail.utf8 ? Utf8Addresses::allowed : Utf8Addresses::refused);
    if (!address) return std::unexpected(address.error());
    mail.sender = path->address;
    return mail;
}

std::expected<engine::Recipient, SmtpReply> parse_rcpt_to(std::string_view argument,
                                                          Utf8Addresses utf8) {
    auto path = parse_path(argument, "TO:");
    if (!path) return std::unexpected(std::move(path).error());
    engine::Recipient recipient;
    for (const std::string_view word : path->parameters) {
        const Parameter parameter = split(word);
        const std::string_view value = parameter.value.value_or("");
        if (same_word(parameter.name, "NOTIFY")) {
            const auto bits = recipient.notify == 0 ? parse_notify(value) : std::nullopt;
            if (!bits) {
                return std::unexpected(bad_parameter(
                    "NOTIFY= wants NEVER, or some of SUCCESS,FAILURE,DELAY, and stands once"));
            }
            recipient.notify = *bits;
        } else if (same_word(parameter.name, "ORCPT")) {
            const auto decoded = recipient.orcpt.empty() ? parse_orcpt(value, utf8) : std::nullopt;
            if (!decoded) {
                return std::unexpected(bad_parameter(
                    "ORCPT= wants type;address in xtext (RFC 3461 4.2), and stands once"));
            }
            recipient.orcpt = *decoded;
        } else {
            return refuse(555, "5.5.4", "RCPT takes the parameters NOTIFY and ORCPT");
        }
    }
    if (path->address.empty()) return refuse(553, "5.1.3", "a recipient cannot be <>");
    auto address = parse_mailbox(path->address, "5.1.3", utf8);
    if (!address) return std::unexpected(std::move(address).error());
    recipient.address = std::string(path->address);
    recipient.routing_domain = std::move(address->routing_domain);
    return recipient;
}

}  // namespace ingest
