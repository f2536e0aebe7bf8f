#include "ingest/smtp_command.h"

#include <strings.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

namespace ingest {

namespace {

constexpr size_t helo_octets_max = 255;

constexpr std::pair<std::string_view, SmtpVerb> verbs[] = {
    {"EHLO", SmtpVerb::ehlo},         {"HELO", SmtpVerb::helo},
    {"STARTTLS", SmtpVerb::starttls}, {"AUTH", SmtpVerb::auth},
    {"MAIL", SmtpVerb::mail},         {"RCPT", SmtpVerb::rcpt},
    {"DATA", SmtpVerb::data},         {"BDAT", SmtpVerb::bdat},
    {"RSET", SmtpVerb::rset},         {"NOOP", SmtpVerb::noop},
    {"VRFY", SmtpVerb::vrfy},         {"HELP", SmtpVerb::help},
    {"QUIT", SmtpVerb::quit},         {"EXPN", SmtpVerb::not_offered},
    {"TURN", SmtpVerb::not_offered},  {"ETRN", SmtpVerb::not_offered},
    {"BURL", SmtpVerb::not_offered},  {"GET", SmtpVerb::foreign},
    {"POST", SmtpVerb::foreign},      {"PUT", SmtpVerb::foreign},
    {"HEAD", SmtpVerb::foreign},      {"OPTIONS", SmtpVerb::foreign},
    {"CONNECT", SmtpVerb::foreign},
};

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
        return std::unexpected(SmtpReply{500, "5.5.2", "a command may hold no control characters"});
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

bool same_word(std::string_view a, std::string_view b) {
    return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

std::optional<uint64_t> parse_octets(std::string_view digits) {
    constexpr size_t digits_max = 20;  // RFC 1870
    if (digits.empty() || digits.size() > digits_max) return std::nullopt;
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.begin(), digits.end(), value);
    if (end != digits.end()) return std::nullopt;
    return error == std::errc() ? value : std::numeric_limits<uint64_t>::max();
}

std::optional<SmtpChunk> parse_bdat(std::string_view argument) {
    const size_t blank = argument.find(' ');
    const auto octets = parse_octets(argument.substr(0, blank));
    if (!octets) return std::nullopt;
    if (blank == std::string_view::npos) return SmtpChunk{.octets = *octets};
    if (!same_word(argument.substr(blank + 1), "LAST")) return std::nullopt;
    return SmtpChunk{.octets = *octets, .last = true};
}

bool is_helo_name(std::string_view name) {
    const auto good = [](char c) {
        return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '.' ||
               c == '-' || c == '_' || c == ':' || c == '[' || c == ']';
    };
    return !name.empty() && name.size() <= helo_octets_max && std::ranges::all_of(name, good);
}

}  // namespace ingest
