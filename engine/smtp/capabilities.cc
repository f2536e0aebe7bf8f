#include "engine/smtp/capabilities.h"

#include <strings.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <string_view>
#include <utility>

#include "engine/smtp/credentials.h"

namespace engine {

namespace {

constexpr std::pair<std::string_view, bool Capabilities::*> keywords[] = {
    {"PIPELINING", &Capabilities::pipelining},
    {"CHUNKING", &Capabilities::chunking},
    {"8BITMIME", &Capabilities::eight_bit_mime},
    {"SMTPUTF8", &Capabilities::smtp_utf8},
    {"DSN", &Capabilities::dsn},
    {"ENHANCEDSTATUSCODES", &Capabilities::enhanced_status_codes},
    {"STARTTLS", &Capabilities::starttls},
    {"SIZE", &Capabilities::size},
    {"REQUIRETLS", &Capabilities::require_tls},
};

bool same_word(std::string_view a, std::string_view b) {
    return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

/// The first word; some servers end their lines in spaces or part the value by '='.
std::string_view take_word(std::string_view& line) {
    const size_t begin = line.find_first_not_of(" \t");
    line.remove_prefix(begin == std::string_view::npos ? line.size() : begin);
    const std::string_view word = line.substr(0, line.find_first_of(" \t="));
    line.remove_prefix(word.size() + (word.size() < line.size()));
    return word;
}

uint64_t size_of(std::string_view digits) {
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.begin(), digits.end(), value);
    if (end != digits.end()) return 0;
    if (error == std::errc::result_out_of_range) return std::numeric_limits<uint64_t>::max();
    return error == std::errc() ? value : 0;
}

/// "AUTH PLAIN LOGIN", and the "AUTH=PLAIN" of servers older than the RFC.
uint8_t auth_of(std::string_view line) {
    uint8_t known = 0;
    for (auto word = take_word(line); !word.empty(); word = take_word(line)) {
        for (const AuthMechanism mechanism : auth_mechanisms) {
            if (same_word(word, to_string(mechanism))) known |= static_cast<uint8_t>(mechanism);
        }
    }
    return known;
}

/// One to six digits, the first of them not 0 (RFC 9422); 0: it is no such number.
uint32_t limit_of(std::string_view digits) {
    uint32_t value = 0;
    const auto [end, error] = std::from_chars(digits.begin(), digits.end(), value);
    const bool well_formed = error == std::errc() && end == digits.end() && digits.size() <= 6 &&
                             !digits.starts_with('0');
    return well_formed ? value : 0;
}

/// "MAILMAX=50 RCPTMAX=100": names that we do not know are skipped; anything that is not well
/// formed spoils the whole keyword (RFC 9422 4).
void take_limits(Capabilities& result, std::string_view values) {
    uint32_t messages = 0, recipients = 0, domains = 0;
    while (true) {
        values.remove_prefix(std::min(values.find_first_not_of(" \t"), values.size()));
        if (values.empty()) break;
        const std::string_view limit = values.substr(0, values.find_first_of(" \t"));
        values.remove_prefix(limit.size());
        const size_t equals = limit.find('=');
        if (equals == 0 || equals == std::string_view::npos || equals + 1 == limit.size()) return;
        const std::string_view name = limit.substr(0, equals);
        uint32_t* const slot = same_word(name, "MAILMAX")         ? &messages
                               : same_word(name, "RCPTMAX")       ? &recipients
                               : same_word(name, "RCPTDOMAINMAX") ? &domains
                                                                  : nullptr;
        if (slot && (*slot = limit_of(limit.substr(equals + 1))) == 0) return;
    }
    // A transaction of ours has recipients of one domain only: RCPTDOMAINMAX never binds.
    result.messages_max = messages;
    result.recipients_max = recipients;
}

void take_line(Capabilities& result, std::string_view line) {
    const std::string_view keyword = take_word(line);
    if (same_word(keyword, "AUTH")) result.auth |= auth_of(line);
    if (same_word(keyword, "LIMITS")) return take_limits(result, line);
    for (const auto& [name, member] : keywords) {
        if (!same_word(keyword, name)) continue;
        result.*member = true;
        if (member == &Capabilities::size) result.size_max = size_of(take_word(line));
    }
}

}  // namespace

Capabilities parse_capabilities(const Reply& ehlo) {
    Capabilities result{.esmtp = true};
    std::string_view rest = ehlo.text;
    // The first line is the server's name and greeting, whatever it looks like.
    for (size_t lf = rest.find('\n'); lf != std::string_view::npos; lf = rest.find('\n')) {
        rest.remove_prefix(lf + 1);
        take_line(result, rest.substr(0, rest.find('\n')));
    }
    return result;
}

}  // namespace engine
