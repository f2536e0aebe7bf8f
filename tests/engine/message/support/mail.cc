#include "tests/engine/message/support/mail.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace test {
namespace {

using namespace std::chrono_literals;
using std::chrono::sys_days;

int hex(char c) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    size_t at = digits.find(c);
    return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

std::string base64(std::string_view text) {
    constexpr std::string_view digits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string bits, out;
    for (char c : text) {
        size_t value = digits.find(c);
        if (value == std::string_view::npos) continue;
        for (int bit = 5; bit >= 0; --bit) bits += (value >> bit & 1) != 0 ? '1' : '0';
    }
    for (size_t i = 0; i + 8 <= bits.size(); i += 8)
        out += static_cast<char>(std::stoi(bits.substr(i, 8), nullptr, 2));
    return out;
}

std::string q(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '_') {
            out += ' ';
        } else if (text[i] == '=' && i + 2 < text.size()) {
            out += static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2]));
            i += 2;
        } else {
            out += text[i];
        }
    }
    return out;
}

}  // namespace

const engine::Origin origin{.host = "mx.example.com",
                            .job = storage::JobId{7},
                            .time = sys_days{std::chrono::year{2026} / 11 / 22} + 13h};

engine::MailParts simple() {
    engine::MailParts parts;
    parts.from = "news@example.com";
    parts.subject = "Hello";
    parts.text = "Hi";
    return parts;
}

engine::Content compile(const engine::MailParts& parts) {
    auto content = engine::Content::assemble(parts, origin);
    if (!content) ADD_FAILURE() << content.error()[0].code << ": " << content.error()[0].message;
    return std::move(content.value());
}

engine::Content compile_raw(std::string_view raw, engine::Templating templating) {
    auto content = engine::Content::from_raw(raw, templating, origin);
    if (!content) ADD_FAILURE() << content.error()[0].code << ": " << content.error()[0].message;
    return std::move(content.value());
}

std::string render(const engine::Content& content, const engine::Content::Vars& vars,
                   std::string_view to, uint32_t index) {
    std::string encoded = content.encode_vars(vars);
    return content.render({.id = {origin.job, index}, .to = to, .vars = encoded});
}

std::vector<std::string> codes(const engine::Problems& problems) {
    std::vector<std::string> out;
    for (const auto& problem : problems) {
        EXPECT_FALSE(problem.message.empty() || problem.hint.empty()) << problem.code;
        out.push_back(problem.code);
    }
    return out;
}

std::vector<std::string> problems_of(const engine::MailParts& parts) {
    auto content = engine::Content::assemble(parts, origin);
    return content ? std::vector<std::string>() : codes(content.error());
}

std::vector<std::string> problems_of_raw(std::string_view raw, engine::Templating templating) {
    auto content = engine::Content::from_raw(raw, templating, origin);
    return content ? std::vector<std::string>() : codes(content.error());
}

std::string Parsed::field(std::string_view name) const {
    auto is = [&](const auto& field) { return field.first == name; };
    auto count = std::ranges::count_if(fields, is);
    if (count != 1) return count == 0 ? "(none)" : "(many)";
    return std::ranges::find_if(fields, is)->second;
}

Parsed parse(std::string_view mail) {
    Parsed parsed;
    size_t at = 0;
    while (at < mail.size()) {
        size_t end = mail.find("\r\n", at);
        std::string_view line = mail.substr(at, end - at);
        at = end == std::string_view::npos ? mail.size() : end + 2;
        if (line.empty()) break;
        if (line[0] == ' ' || line[0] == '\t') {
            if (!parsed.fields.empty()) parsed.fields.back().second += line;
            continue;
        }
        size_t colon = line.find(':');
        std::string_view value = colon < line.size() ? line.substr(colon + 1) : "";
        if (value.starts_with(' ')) value.remove_prefix(1);
        parsed.fields.emplace_back(line.substr(0, colon), value);
    }
    parsed.body = mail.substr(at);
    return parsed;
}

std::string shown(std::string_view value) {
    std::string out;
    bool after_word = false;
    size_t blank_start = 0;
    for (size_t i = 0; i < value.size();) {
        size_t start = value.find_first_not_of(' ', i);
        if (start == std::string_view::npos) start = value.size();
        blank_start = i;
        size_t end = std::min(value.find(' ', start), value.size());
        std::string_view word = value.substr(start, end - start);
        std::string_view blanks = value.substr(blank_start, start - blank_start);
        bool encoded = word.starts_with("=?utf-8?") && word.ends_with("?=") && word.size() > 12;
        EXPECT_FALSE(encoded && word.size() > 75) << word;
        if (!encoded || !after_word) out += blanks;
        if (!encoded)
            out += word;
        else if (word[8] == 'q')
            out += q(word.substr(10, word.size() - 12));
        else
            out += base64(word.substr(10, word.size() - 12));
        after_word = encoded;
        i = end;
    }
    return out;
}

std::string unquoted(std::string_view body) {
    std::string out;
    size_t line = 0;
    for (size_t i = 0; i < body.size(); ++i) {
        if (body.substr(i, 2) == "\r\n") {
            if (i > 0 && (body[i - 1] == ' ' || body[i - 1] == '\t')) return "(invalid) blank";
            out += "\r\n";
            ++i;
            line = 0;
            continue;
        }
        if (++line > 76) return "(invalid) long line";
        if (body.substr(i, 3) == "=\r\n") {
            i += 2;
            line = 0;
        } else if (body[i] == '=') {
            if (i + 2 >= body.size() || hex(body[i + 1]) < 0 || hex(body[i + 2]) < 0)
                return "(invalid) escape";
            out += static_cast<char>(hex(body[i + 1]) * 16 + hex(body[i + 2]));
            i += 2;
            line += 2;
            if (line > 76) return "(invalid) long line";
        } else if ((body[i] < 32 && body[i] != '\t') || body[i] == 127) {
            return "(invalid) octet";
        } else {
            out += body[i];
        }
    }
    return out;
}

bool fits_smtp(std::string_view mail) {
    size_t line = 0;
    for (size_t i = 0; i < mail.size(); ++i) {
        if (mail[i] == '\0') return false;
        if (mail[i] == '\n' && (i == 0 || mail[i - 1] != '\r')) return false;
        if (mail[i] == '\r' && (i + 1 == mail.size() || mail[i + 1] != '\n')) return false;
        if (mail[i] == '\r')
            line = 0;
        else if (mail[i] != '\n' && ++line > 998)
            return false;
    }
    return mail.ends_with("\r\n");
}

}  // namespace test
