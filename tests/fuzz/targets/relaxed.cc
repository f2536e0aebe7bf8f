// DKIM's relaxed forms beside a plain reading of RFC 6376 3.4. The input becomes what rendering
// gives: CRLF line ends only.
#include "engine/message/relaxed.h"

#include <cstring>

#include "metrics/check.h"
#include "tests/fuzz/targets/targets.h"

namespace fuzz {
namespace {

constexpr size_t longest_repeat = 9'000;  // longer than two blocks of the implementation

bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

/// Octet 1 stands for a long run of what is before it, so that small inputs cross its blocks.
std::string rendered(std::string_view input) {
    std::string out;
    for (size_t i = 0; i < input.size(); ++i) {
        char c = input[i];
        if (c == '\r') continue;
        if (c == '\n') {
            out += "\r\n";
        } else if (c == '\1' && !out.empty() && out.back() != '\n' && out.size() < 50'000) {
            out.append(longest_repeat, out.back());
        } else {
            out += c;
        }
    }
    return out + "\r\n";
}

/// 3.4.2 and 3.4.4: runs of blanks become one, those at the end of a line go.
std::string without_blanks(std::string_view line) {
    std::string out;
    for (char c : line) {
        if (!is_blank(c))
            out += c;
        else if (out.empty() || out.back() != ' ')
            out += ' ';
    }
    if (out.ends_with(' ')) out.pop_back();
    return out;
}

std::string plain_body(std::string_view body) {
    std::string out, line_ends;
    for (size_t at = 0; at < body.size();) {
        size_t end = body.find("\r\n", at);
        std::string line = without_blanks(body.substr(at, end - at));
        if (!line.empty()) {
            out += line_ends + line;
            line_ends.clear();
        }
        line_ends += "\r\n";
        at = end + 2;
    }
    return out.empty() ? out : out + "\r\n";
}

std::string relaxed_body(std::string_view body) {
    std::string out;
    engine::relax_body(body, [&](std::string_view piece) { out += piece; });
    return out;
}

std::string relaxed_field(std::string_view field) {
    std::string out;
    engine::append_relaxed_field(out, field);
    return out;
}

}  // namespace

void relaxed(std::string_view input) {
    const std::string body = rendered(input);
    std::string plain = plain_body(body);
    CHECK(relaxed_body(body) == plain, "another relaxed body");
    CHECK(engine::relaxed_body_hash(body) == engine::sha256(plain), "another hash");

    // The first line and what is folded onto it, as a field.
    std::string field = "Subject:" + body.substr(0, body.find("\r\n") + 2);
    size_t at = field.size() - std::strlen("Subject:");
    while (at < body.size() && is_blank(body[at])) {
        size_t end = body.find("\r\n", at) + 2;
        field += body.substr(at, end - at);
        at = end;
    }
    std::string value = field.substr(std::strlen("Subject:"));
    for (size_t end; (end = value.find("\r\n")) != std::string::npos;) value.erase(end, 2);
    value = without_blanks(value);
    if (value.starts_with(' ')) value.erase(0, 1);
    CHECK(relaxed_field(field) == "subject:" + value + "\r\n", "another relaxed field");
}

}  // namespace fuzz
