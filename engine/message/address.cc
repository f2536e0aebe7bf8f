#include "engine/message/address.h"

#include <arpa/inet.h>
#include <idn2.h>

#include <algorithm>
#include <array>

#include "engine/message/encode.h"

namespace engine {
namespace {

constexpr size_t local_octets_max = 64;    // RFC 5321 4.5.3.1.1
constexpr size_t domain_octets_max = 255;  // 4.5.3.1.2
constexpr size_t label_octets_max = 63;
constexpr size_t name_octets_max = 253;  // of a name in dotted form that DNS can carry

bool is_high(char c) {
    return static_cast<unsigned char>(c) >= 0x80;
}
constexpr bool is_alnum(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
/// A table: each address is looked at some five times on its way.
constexpr auto atoms = [] {
    std::array<bool, 256> table{};
    for (const char c : std::string_view("!#$%&'*+-/=?^_`{|}~"))
        table[static_cast<unsigned char>(c)] = true;
    for (unsigned c = 0; c < table.size(); ++c)
        if (is_alnum(static_cast<char>(c)) || c >= 0x80) table[c] = true;
    return table;
}();
bool is_atom(char c) {
    return atoms[static_cast<unsigned char>(c)];
}

std::unexpected<std::string> wrong(std::string sentence) {
    return std::unexpected(std::move(sentence));
}

/// Where the local part ends: the place of the '@' behind it.
std::expected<size_t, std::string> end_of_local(std::string_view text) {
    if (text[0] != '"') {
        size_t at = text.rfind('@');
        if (at == std::string_view::npos) return wrong("the address has no '@'");
        return at;
    }
    for (size_t i = 1; i < text.size(); ++i) {
        if (text[i] == '\\') {
            ++i;
        } else if (text[i] == '"') {
            if (i + 1 >= text.size() || text[i + 1] != '@')
                return wrong("the quoted local part is not followed by '@'");
            return i + 1;
        }
    }
    return wrong("the quoted local part has no closing '\"'");
}

std::expected<void, std::string> check_local(std::string_view local) {
    if (local.empty()) return wrong("nothing stands before the '@'");
    if (local.size() > local_octets_max)
        return wrong("the part before the '@' is longer than 64 octets");
    if (local[0] == '"') {
        for (char c : local)
            if (static_cast<unsigned char>(c) < 32 || c == 127)
                return wrong("the quoted local part holds a control character");
        return {};
    }
    if (local.front() == '.' || local.back() == '.' || local.find("..") != std::string_view::npos)
        return wrong("the part before the '@' starts or ends with a dot, or has two in a row");
    for (char c : local) {
        if (c == '@') return wrong("the address has two '@'");
        if (!is_atom(c) && c != '.')
            return wrong("the part before the '@' has a character that only a quoted one may have");
    }
    return {};
}

std::expected<void, std::string> check_literal(std::string_view domain) {
    if (domain.back() != ']') return wrong("the address literal has no closing ']'");
    std::string inside(domain.substr(1, domain.size() - 2));
    unsigned char parsed[16];
    constexpr std::string_view tag = "IPv6:";
    bool six = inside.size() > tag.size() &&
               std::equal(tag.begin(), tag.end(), inside.begin(),
                          [](char a, char b) { return (a | 0x20) == (b | 0x20); });
    int family = six ? AF_INET6 : AF_INET;
    const char* number = six ? inside.c_str() + tag.size() : inside.c_str();
    if (inet_pton(family, number, parsed) != 1)
        return wrong("the address literal is neither an IPv4 address nor \"IPv6:\" and one");
    return {};
}

std::expected<void, std::string> check_domain(std::string_view domain) {
    if (domain.empty()) return wrong("nothing stands behind the '@'");
    if (domain.size() > domain_octets_max) return wrong("the domain is longer than 255 octets");
    if (domain[0] == '[') return check_literal(domain);
    if (domain.back() == '.') return wrong("the domain ends with a dot; leave it out");
    size_t label = 0;
    for (size_t i = 0; i <= domain.size(); ++i) {
        if (i == domain.size() || domain[i] == '.') {
            if (label == 0) return wrong("the domain has an empty label (two dots in a row)");
            label = 0;
            continue;
        }
        if (!is_alnum(domain[i]) && domain[i] != '-' && domain[i] != '_' && !is_high(domain[i]))
            return wrong("the domain has a character that no domain has");
        ++label;
    }
    return {};
}

std::expected<std::string, std::string> to_a_labels(std::string_view domain) {
    std::string name(domain);
    if (domain[0] == '[' || is_ascii(domain)) {
        // DNS takes names that IDNA forbids ('_', "--" in third place), and mail is sent to them.
        for (char& c : name)
            if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
        if (domain[0] == '[') return name;
    } else {
        char* ascii = nullptr;
        int result = idn2_to_ascii_8z(name.c_str(), &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
        if (result != IDN2_OK)
            return wrong(std::string("the domain is no internationalised name: ") +
                         idn2_strerror(result));
        name = ascii;
        idn2_free(ascii);
        if (auto form = check_domain(name); !form) return std::unexpected(form.error());
    }
    if (name.size() > name_octets_max) return wrong("the domain is longer than 253 octets");
    for (size_t start = 0; start < name.size();) {
        size_t end = std::min(name.find('.', start), name.size());
        if (end - start > label_octets_max)
            return wrong("the domain has a label of more than 63 octets");
        if (name[start] == '-' || name[end - 1] == '-')
            return wrong("a label of the domain starts or ends with '-'");
        start = end + 1;
    }
    return name;
}

}  // namespace

std::expected<AddressForm, std::string> split_address(std::string_view text) {
    if (text.empty()) return wrong("the address is empty");
    if (text.size() > local_octets_max + 1 + domain_octets_max)
        return wrong("the address is longer than 320 octets");
    for (char c : text) {
        if (c == '\r' || c == '\n' || c == '\0')
            return wrong("the address holds a line end or a NUL");
    }
    // Inside a quoted local part they would be allowed, but too many receivers cut a path at the
    // first '>'.
    if (text.contains('<') || text.contains('>'))
        return wrong("the address holds '<' or '>'; give the address alone, without a name");
    if (text[0] == '@') return wrong("the address starts with '@'; source routes are not taken");
    if (!is_utf8(text)) return wrong("the address is not UTF-8");
    auto end = end_of_local(text);
    if (!end) return std::unexpected(end.error());
    AddressForm form{text.substr(0, *end), text.substr(*end + 1)};
    if (auto local = check_local(form.local); !local) return std::unexpected(local.error());
    if (auto domain = check_domain(form.domain); !domain) return std::unexpected(domain.error());
    return form;
}

std::expected<Address, std::string> parse_address(std::string_view text) {
    auto form = split_address(text);
    if (!form) return std::unexpected(form.error());
    auto routing = to_a_labels(form->domain);
    if (!routing) return std::unexpected(routing.error());
    return Address{.local = std::string(form->local),
                   .domain = std::string(form->domain),
                   .routing_domain = std::move(*routing),
                   .utf8 = !is_ascii(form->local)};
}

}  // namespace engine
