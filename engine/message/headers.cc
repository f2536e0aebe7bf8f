#include "engine/message/headers.h"

#include <algorithm>
#include <array>

#include "engine/message/limits.h"

namespace engine {
namespace {

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

}  // namespace

bool is_field_name(std::string_view name) {
    return !name.empty() && name.size() <= header_name_octets_max &&
           std::ranges::all_of(name, [](char c) { return c > 32 && c < 127 && c != ':'; });
}

bool same_name(std::string_view a, std::string_view b) {
    return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

bool is_single_field(std::string_view name) {
    constexpr std::array<std::string_view, 17> single = {"From",
                                                         "Sender",
                                                         "Reply-To",
                                                         "To",
                                                         "Cc",
                                                         "Subject",
                                                         "Date",
                                                         "Message-ID",
                                                         "In-Reply-To",
                                                         "References",
                                                         "Bcc",
                                                         "MIME-Version",
                                                         "Content-Type",
                                                         "Content-ID",
                                                         "Content-Transfer-Encoding",
                                                         "Content-Description",
                                                         "Content-Disposition"};
    return std::ranges::any_of(single, [&](std::string_view s) { return same_name(s, name); });
}

bool has_line_end_or_nul(std::string_view text) {
    return std::ranges::any_of(text, [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
}

size_t longest_word(std::string_view text) {
    size_t longest = 0;
    for (size_t at = 0; at < text.size();) {
        size_t end = std::min(text.find_first_of(" \t", at), text.size());
        longest = std::max(longest, end - at);
        at = end + 1;
    }
    return longest;
}

std::string date_text(storage::WallTime time) {
    constexpr std::array days = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    constexpr std::array months = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    // RFC 5322 has four digits for the year; a clock that is off must not make a field that is no
    // date.
    using std::chrono::sys_days;
    constexpr sys_days first{std::chrono::year{1970} / 1 / 1},
        last{std::chrono::year{9999} / 1 / 1};
    auto seconds = std::chrono::floor<std::chrono::seconds>(
        std::clamp(time, storage::WallTime(first), storage::WallTime(last)));
    auto day = std::chrono::floor<std::chrono::days>(seconds);
    std::chrono::year_month_day date(day);
    std::chrono::hh_mm_ss clock(seconds - day);
    std::string text;
    text.reserve(32);
    const auto two_digits = [&](auto number) {
        text += static_cast<char>('0' + number / 10);
        text += static_cast<char>('0' + number % 10);
    };
    text.append(days[std::chrono::weekday(day).c_encoding()]).append(", ");
    text += std::to_string(static_cast<unsigned>(date.day()));
    text.append(" ").append(months[static_cast<unsigned>(date.month()) - 1]).append(" ");
    text += std::to_string(static_cast<int>(date.year()));
    text += ' ';
    two_digits(clock.hours().count());
    text += ':';
    two_digits(clock.minutes().count());
    text += ':';
    two_digits(clock.seconds().count());
    text += " +0000";
    return text;
}

std::string message_id_host(std::string_view host) {
    bool name = !host.empty() && host.size() <= 253 && host.front() != '.' && host.back() != '.' &&
                std::ranges::all_of(host, [](char c) {
                    return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') ||
                           c == '-' || c == '.';
                });
    return name && host.find("..") == std::string_view::npos ? std::string(host) : "localhost";
}

}  // namespace engine
