#include "engine/policy/sts_policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "engine/dns/domain_name.h"

namespace engine {

namespace {

constexpr size_t id_octets_max = 32;
constexpr size_t age_digits_max = 10;
constexpr std::string_view blanks = " \t";

std::string_view trimmed(std::string_view text) {
    const size_t first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

/// The part before `end`, which is taken off `text` with it.
std::string_view cut(std::string_view& text, char end) {
    const size_t at = text.find(end);
    const std::string_view part = text.substr(0, at);
    text = at == std::string_view::npos ? std::string_view{} : text.substr(at + 1);
    return part;
}

bool is_alphanumeric(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_sts_record(std::string_view text) {
    const bool more_follows = text.find(';') != std::string_view::npos;
    return more_follows && trimmed(cut(text, ';')) == "v=STSv1";
}

std::optional<std::string> parse_pattern(std::string_view text) {
    const bool wildcard = text.starts_with("*.");
    auto name = parse_domain(wildcard ? text.substr(2) : text);
    if (name && wildcard) name->insert(0, "*.");
    return name;
}

std::optional<std::chrono::seconds> parse_age(std::string_view text) {
    int64_t seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (text.empty() || text.size() > age_digits_max || error != std::errc{} ||
        end != text.data() + text.size() || seconds < 0)
        return std::nullopt;
    return std::min(std::chrono::seconds(seconds), StsPolicy::age_max);
}

std::optional<StsPolicy::Mode> parse_mode(std::string_view text) {
    using Mode = StsPolicy::Mode;
    for (const Mode mode : {Mode::none, Mode::testing, Mode::enforce})
        if (text == to_string(mode)) return mode;
    return std::nullopt;
}

/// The fields as they come. Of one that comes twice the first counts, but for mx (RFC 8461 3.2).
struct Fields {
    std::optional<std::string_view> version, mode, max_age;
    std::vector<std::string_view> mx;
};

std::expected<Fields, std::string> fields_of(std::string_view text) {
    Fields fields;
    for (size_t line = 1; !text.empty(); ++line) {
        std::string_view field = cut(text, '\n');
        if (field.ends_with('\r')) field.remove_suffix(1);
        if (trimmed(field).empty()) continue;
        if (field.find(':') == std::string_view::npos)
            return std::unexpected(fmt::format("line {} is not of the form 'key: value'", line));
        const std::string_view key = trimmed(cut(field, ':'));
        const std::string_view value = trimmed(field);
        const auto first = [&](std::optional<std::string_view>& known) {
            if (!known) known = value;
        };
        if (key == "version") first(fields.version);
        if (key == "mode") first(fields.mode);
        if (key == "max_age") first(fields.max_age);
        if (key == "mx") fields.mx.push_back(value);
        if (fields.mx.size() > StsPolicy::patterns_max)
            return std::unexpected(fmt::format("more than {} mx fields", StsPolicy::patterns_max));
    }
    return fields;
}

/// What a stranger wrote, fit for a log.
std::string shown(std::string_view text) {
    constexpr size_t shown_max = 80;
    std::string out(text.substr(0, shown_max));
    std::ranges::replace_if(
        out, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; }, '?');
    return out;
}

}  // namespace

std::string_view to_string(StsPolicy::Mode mode) {
    switch (mode) {
        case StsPolicy::Mode::none:
            return "none";
        case StsPolicy::Mode::testing:
            return "testing";
        case StsPolicy::Mode::enforce:
            return "enforce";
    }
    return "";
}

std::optional<std::string> sts_record_id(std::span<const std::string> texts) {
    if (std::ranges::count_if(texts, is_sts_record) != 1) return std::nullopt;
    std::string_view record = *std::ranges::find_if(texts, is_sts_record);
    while (!record.empty()) {
        std::string_view field = trimmed(cut(record, ';'));
        if (!field.starts_with("id=")) continue;
        field.remove_prefix(3);
        const bool valid = !field.empty() && field.size() <= id_octets_max &&
                           std::ranges::all_of(field, is_alphanumeric);
        return valid ? std::optional<std::string>(field) : std::nullopt;
    }
    return std::nullopt;
}

std::expected<StsPolicy, std::string> parse_sts_policy(std::string_view text) {
    const auto fields = fields_of(text);
    if (!fields) return std::unexpected(fields.error());
    if (fields->version != "STSv1") return std::unexpected("its version is not STSv1");
    const auto mode = parse_mode(fields->mode.value_or(""));
    if (!mode) return std::unexpected("its mode is not one of none, testing and enforce");
    const auto max_age = parse_age(fields->max_age.value_or(""));
    if (!max_age) return std::unexpected("its max_age is not a number of seconds");
    StsPolicy policy{.mode = *mode, .max_age = *max_age};
    for (const std::string_view pattern : fields->mx) {
        auto parsed = parse_pattern(pattern);
        if (!parsed) return std::unexpected(fmt::format("'{}' is no mail host", shown(pattern)));
        policy.mx.push_back(std::move(*parsed));
    }
    if (policy.mx.empty() && *mode != StsPolicy::Mode::none)
        return std::unexpected("it names no mail host");
    return policy;
}

std::vector<std::string> lines_of(const StsPolicy& policy) {
    std::vector<std::string> lines = {"version: STSv1",
                                      fmt::format("mode: {}", to_string(policy.mode))};
    for (const std::string& pattern : policy.mx) lines.push_back("mx: " + pattern);
    lines.push_back(fmt::format("max_age: {}", policy.max_age.count()));
    return lines;
}

}  // namespace engine
