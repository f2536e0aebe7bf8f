#include "engine/dns/domain_name.h"

#include <algorithm>

namespace engine {

namespace {

constexpr size_t name_octets_max =
    253;  // 255 on the wire, less the root and the first length octet
constexpr size_t label_octets_max = 63;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_label(std::string_view label) {
    if (label.empty() || label.size() > label_octets_max) return false;
    if (label.front() == '-' || label.back() == '-') return false;
    return std::ranges::all_of(
        label, [](char c) { return is_letter(c) || is_digit(c) || c == '-' || c == '_'; });
}

}  // namespace

std::optional<std::string> parse_domain(std::string_view text) {
    if (text.ends_with('.')) text.remove_suffix(1);
    if (text.empty() || text.size() > name_octets_max) return std::nullopt;
    std::string_view rest = text, label;
    for (bool more = true; more;) {
        const size_t dot = rest.find('.');
        more = dot != std::string_view::npos;
        label = rest.substr(0, dot);
        if (!is_label(label)) return std::nullopt;
        if (more) rest.remove_prefix(dot + 1);
    }
    if (std::ranges::all_of(label, is_digit)) return std::nullopt;
    std::string name(text);
    // Not std::tolower: names must not depend on the locale.
    for (char& c : name) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
    }
    return name;
}

}  // namespace engine
