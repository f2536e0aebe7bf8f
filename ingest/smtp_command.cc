#include "ingest/smtp_command.h"

#include <strings.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>
#include <vector>

namespace ingest {

namespace {

constexpr size_t helo_octets_max = 255;
constexpr size_t path_octets_max = 256;  // RFC 5321 4.5.3.1.3

constexpr std::pair<std::string_view, SmtpVerb> verbs[] = {
    {"EHLO", SmtpVerb::ehlo},        {"HELO", SmtpVerb::helo},
    {"MAIL", SmtpVerb::mail},        {"RCPT", SmtpVerb::rcpt},
    {"DATA", SmtpVerb::data},        {"RSET", SmtpVerb::rset},
    {"NOOP", SmtpVerb::noop},        {"VRFY", SmtpVerb::vrfy},
    {"HELP", SmtpVerb::help},        {"QUIT", SmtpVerb::quit},
    {"AUTH", SmtpVerb::not_offered}, {"STARTTLS", SmtpVerb::not_offered},
    {"BDAT", SmtpVerb::not_offered}, {"EXPN", SmtpVerb::not_offered},
    {"TURN", SmtpVerb::not_offered}, {"ETRN", SmtpVerb::not_offered},
};

bool same_word(std::string_view a, std::string_view b) {
    return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

std::unexpected<SmtpReply> refuse(uint16_t code, std::string enhanced, std::string text) {
    return std::unexpected(SmtpReply{code, std::move(enhanced), std::move(text)});
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

std::optional<uint64_t> parse_octets(std::string_view digits) {
    constexpr size_t digits_max = 20;  // RFC 1870
    if (digits.empty() || digits.size() > digits_max) return std::nullopt;
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.begin(), digits.end(), value);
    if (end != digits.end()) return std::nullopt;
    return error == std::errc() ? value : std::numeric_limits<uint64_t>::max();
}

std::optional<SmtpReply> take_parameter(MailFrom& mail, std::string_view parameter) {
    const size_t equals = parameter.find('=');
    const std::string_view name = parameter.substr(0, equals);
    const std::string_view value =
        equals == std::string_view::npos ? "" : parameter.substr(equals + 1);
    if (same_word(name, "SIZE")) {
        if (mail.size) return SmtpReply{501, "5.5.4", "SIZE is given twice"};
        mail.size = parse_octets(value);
        if (!mail.size) return SmtpReply{501, "5.5.4", "SIZE= wants a number of octets"};
        return std::nullopt;
    }
    if (same_word(name, "BODY")) {
        if (same_word(value, "7BIT") || same_word(value, "8BITMIME")) return std::nullopt;
        return SmtpReply{501, "5.5.4", "BODY= wants 7BIT or 8BITMIME"};
    }
    return SmtpReply{555, "5.5.4",
                     "MAIL takes the parameters SIZE and BODY here, not " + std::string(name)};
}

bool is_ascii(std::string_view text) {
    return std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) > 127; });
}

std::expected<engine::Address, SmtpReply> parse_mailbox(std::string_view text,
                                                        std::string_view enhanced) {
    if (!is_ascii(text)) {
        return refuse(553, "5.6.7",
                      "SMTPUTF8 is not offered here: submit mail to this address over HTTP");
    }
    auto address = engine::parse_address(text);
    if (!address) return refuse(553, std::string(enhanced), address.error());
    return std::move(*address);
}

}  // namespace

std::string SmtpReply::wire() const {
    std::string wire;
    std::string_view rest = text;
    for (;;) {
        const size_t end = rest.find('\n');
        const bool last = end == std::string_view::npos;
        wire += std::to_string(code);
        wire += last ? ' ' : '-';
        if (!enhanced.empty()) wire.append(enhanced).append(" ");
        wire.append(rest.substr(0, end)).append("\r\n");
        if (last) return wire;
        rest.remove_prefix(end + 1);
    }
}

std::expected<SmtpCommand, SmtpReply> parse_smtp_command(std::string_view line) {
    const auto forbidden = [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; };
    if (std::ranges::any_of(line, forbidden)) {
        return refuse(500, "5.5.2", "a command may hold no control characters");
    }
    // Blanks behind a command are to be tolerated (RFC 5321 4.1.1).
    while (line.ends_with(' ')) line.remove_suffix(1);
    const std::string_view word = line.substr(0, line.find(' '));
    for (const auto& [name, verb] : verbs) {
        if (!same_word(word, name)) continue;
        return SmtpCommand{verb, line.substr(std::min(line.size(), word.size() + 1))};
    }
    return SmtpCommand{};
}

std::expected<MailFrom, SmtpReply> parse_mail_from(std::string_view argument) {
    auto path = parse_path(argument, "FROM:");
    if (!path) return std::unexpected(std::move(path).error());
    MailFrom mail;
    for (const std::string_view parameter : path->parameters) {
        if (auto wrong = take_parameter(mail, parameter)) return std::unexpected(std::move(*wrong));
    }
    if (path->address.empty()) return mail;  // the null reverse-path
    const auto address = parse_mailbox(path->address, "5.1.7");
    if (!address) return std::unexpected(address.error());
    mail.sender = path->address;
    return mail;
}

std::expected<engine::Recipient, SmtpReply> parse_rcpt_to(std::string_view argument) {
    auto path = parse_path(argument, "TO:");
    if (!path) return std::unexpected(std::move(path).error());
    if (!path->parameters.empty()) {
        return refuse(555, "5.5.4", "RCPT takes no parameters here (DSN is not offered)");
    }
    if (path->address.empty()) return refuse(553, "5.1.3", "a recipient cannot be <>");
    auto address = parse_mailbox(path->address, "5.1.3");
    if (!address) return std::unexpected(std::move(address).error());
    return engine::Recipient{.address = std::string(path->address),
                             .routing_domain = std::move(address->routing_domain)};
}

bool is_helo_name(std::string_view name) {
    const auto good = [](char c) {
        return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '.' ||
               c == '-' || c == '_' || c == ':' || c == '[' || c == ']';
    };
    return !name.empty() && name.size() <= helo_octets_max && std::ranges::all_of(name, good);
}

}  // namespace ingest
