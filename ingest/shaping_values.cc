#include "ingest/shaping_values.h"

#include <fmt/format.h>

#include <array>
#include <charconv>

namespace ingest {

namespace {

using std::chrono::milliseconds;

struct Unit {
    std::string_view name;
    milliseconds length;
};
constexpr milliseconds second{1000}, minute = 60 * second, hour = 60 * minute, day = 24 * hour;
constexpr auto units = std::to_array<Unit>({{"ms", milliseconds(1)},
                                            {"msec", milliseconds(1)},
                                            {"s", second},
                                            {"sec", second},
                                            {"secs", second},
                                            {"second", second},
                                            {"seconds", second},
                                            {"m", minute},
                                            {"min", minute},
                                            {"mins", minute},
                                            {"minute", minute},
                                            {"minutes", minute},
                                            {"h", hour},
                                            {"hr", hour},
                                            {"hrs", hour},
                                            {"hour", hour},
                                            {"hours", hour},
                                            {"d", day},
                                            {"day", day},
                                            {"days", day},
                                            {"w", 7 * day},
                                            {"week", 7 * day},
                                            {"weeks", 7 * day}});

std::optional<milliseconds> length_of(std::string_view name) {
    for (const Unit& unit : units)
        if (unit.name == name) return unit.length;
    return std::nullopt;
}

void skip_blanks(std::string_view& text) {
    while (text.starts_with(' ')) text.remove_prefix(1);
}

/// Digits that commas or underscores may part, off the front.
std::optional<uint64_t> take_number(std::string_view& text) {
    std::string digits;
    while (!text.empty() && (std::isdigit(static_cast<unsigned char>(text.front())) ||
                             (!digits.empty() && (text.front() == ',' || text.front() == '_')))) {
        if (text.front() != ',' && text.front() != '_') digits += text.front();
        text.remove_prefix(1);
    }
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (digits.empty() || error != std::errc{}) return std::nullopt;
    return number;
}

std::string_view take_word(std::string_view& text) {
    size_t length = 0;
    while (length < text.size() && std::isalpha(static_cast<unsigned char>(text[length]))) ++length;
    const std::string_view word = text.substr(0, length);
    text.remove_prefix(length);
    return word;
}

bool take_local(std::string_view& text) {
    constexpr std::string_view local = "local:";
    if (!text.starts_with(local)) return false;
    text.remove_prefix(local.size());
    return true;
}

}  // namespace

std::optional<ShapingRate> parse_shaping_rate(std::string_view text) {
    ShapingRate rate;
    rate.per_node = take_local(text);
    const auto count = take_number(text);
    if (!count || *count == 0 || !text.starts_with('/')) return std::nullopt;
    text.remove_prefix(1);
    const uint64_t periods = take_number(text).value_or(1);
    skip_blanks(text);
    const auto length = length_of(take_word(text));
    if (!length || *length < second || periods == 0 || periods > 10'000 || !text.empty())
        return std::nullopt;
    rate.count = *count;
    rate.period = std::chrono::duration_cast<std::chrono::seconds>(*length * periods);
    return rate;
}

std::optional<uint64_t> parse_shaping_count(std::string_view text) {
    take_local(text);
    const auto count = take_number(text);
    return text.empty() ? count : std::nullopt;
}

std::optional<milliseconds> parse_shaping_duration(std::string_view text) {
    milliseconds sum{0};
    size_t parts = 0;
    for (skip_blanks(text); !text.empty(); skip_blanks(text)) {
        const auto number = take_number(text);
        skip_blanks(text);
        const auto length = length_of(take_word(text));
        if (!number || !length || *number > 1'000'000 || ++parts > 8) return std::nullopt;
        sum += *length * *number;
    }
    return parts > 0 ? std::optional(sum) : std::nullopt;
}

std::string rate_text(const ShapingRate& rate) {
    using namespace std::chrono_literals;
    if (rate.period == 1s) return fmt::format("{}/s", rate.count);
    if (rate.period == 1min) return fmt::format("{}/m", rate.count);
    if (rate.period == 1h) return fmt::format("{}/h", rate.count);
    const double per_hour =
        static_cast<double>(rate.count) * 3600 / static_cast<double>(rate.period.count());
    if (per_hour >= 1) return fmt::format("{:.0f}/h", per_hour);
    return fmt::format("{:.4f}/h", per_hour);
}

}  // namespace ingest
