#include "engine/message/encode.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

namespace engine {
namespace {

constexpr std::string_view hex = "0123456789ABCDEF";
constexpr std::string_view base64_alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr size_t quoted_printable_columns = 75;  // the 76th is for the '=' of a soft break
constexpr size_t base64_octets_per_line = 57;    // 76 characters
constexpr size_t block_octets = 16;              // looked at together, as vector code does

bool in(unsigned char c, unsigned low, unsigned high) {
    return c >= low && c <= high;
}

/// Blanks do, too, but for one at the end of a line.
constexpr auto stands_for_itself = [] {
    std::array<bool, 256> table{};
    for (unsigned c = 33; c <= 126; ++c) table[c] = c != '=';
    table[' '] = table['\t'] = true;
    return table;
}();

bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

/// How many octets at the front of a block do. Written without branches and tables, so that the
/// compiler makes vector code of it: all of every text goes through here.
size_t run_in_block(const char* block) {
    std::array<unsigned char, block_octets> other;
    for (size_t i = 0; i < block_octets; ++i) {
        const auto c = static_cast<unsigned char>(block[i]);
        const auto unprintable = static_cast<unsigned char>(c - 32) > 94;
        other[i] = static_cast<unsigned char>((unprintable | (c == '=')) & (c != '\t'));
    }
    static_assert(std::endian::native == std::endian::little);
    const auto [low, high] = std::bit_cast<std::array<uint64_t, 2>>(other);
    if (low != 0) return static_cast<size_t>(std::countr_zero(low)) / 8;
    return high != 0 ? 8 + static_cast<size_t>(std::countr_zero(high)) / 8 : block_octets;
}

/// Where the octets from `at` on, up to `end`, no longer stand for themselves.
size_t end_of_run(std::string_view text, size_t at, size_t end) {
    while (at < end && at + block_octets <= text.size()) {
        const size_t run = run_in_block(text.data() + at);
        at += run;
        if (run < block_octets) return std::min(at, end);
    }
    while (at < end && stands_for_itself[static_cast<unsigned char>(text[at])]) ++at;
    return std::min(at, end);
}

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

void append_base64(std::string& out, std::string_view octets) {
    auto octet = [&](size_t i) { return static_cast<uint32_t>(static_cast<uint8_t>(octets[i])); };
    size_t i = 0;
    for (; i + 3 <= octets.size(); i += 3) {
        uint32_t bits = octet(i) << 16 | octet(i + 1) << 8 | octet(i + 2);
        for (int shift = 18; shift >= 0; shift -= 6) out += base64_alphabet[bits >> shift & 63];
    }
    if (size_t rest = octets.size() - i; rest != 0) {
        uint32_t bits = octet(i) << 16 | (rest == 2 ? octet(i + 1) << 8 : 0);
        out += base64_alphabet[bits >> 18 & 63];
        out += base64_alphabet[bits >> 12 & 63];
        out += rest == 2 ? base64_alphabet[bits >> 6 & 63] : '=';
        out += '=';
    }
}

}  // namespace

size_t utf8_sequence(std::string_view text, size_t at) {
    auto octet = [&](size_t i) -> unsigned char {
        return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0;
    };
    unsigned char first = octet(0);
    if (first < 0x80) return at < text.size() ? 1 : 0;
    if (in(first, 0xC2, 0xDF)) return in(octet(1), 0x80, 0xBF) ? 2 : 0;
    if (in(first, 0xE0, 0xEF)) {
        unsigned low = first == 0xE0 ? 0xA0 : 0x80;   // overlong
        unsigned high = first == 0xED ? 0x9F : 0xBF;  // surrogates
        return in(octet(1), low, high) && in(octet(2), 0x80, 0xBF) ? 3 : 0;
    }
    if (in(first, 0xF0, 0xF4)) {
        unsigned low = first == 0xF0 ? 0x90 : 0x80;
        unsigned high = first == 0xF4 ? 0x8F : 0xBF;  // above U+10FFFF
        return in(octet(1), low, high) && in(octet(2), 0x80, 0xBF) && in(octet(3), 0x80, 0xBF) ? 4
                                                                                               : 0;
    }
    return 0;
}

bool is_utf8(std::string_view text) {
    if (is_ascii(text)) return true;  // nearly all is, and this vectorises
    for (size_t at = 0; at < text.size();) {
        size_t length = utf8_sequence(text, at);
        if (length == 0) return false;
        at += length;
    }
    return true;
}

bool is_ascii(std::string_view text) {
    unsigned char seen = 0;
    for (char c : text) seen |= static_cast<unsigned char>(c);
    return seen < 0x80;
}

std::string clean_utf8(std::string_view text) {
    if (is_ascii(text)) return std::string(text);
    std::string out;
    out.reserve(text.size());
    for (size_t at = 0; at < text.size();) {
        size_t length = utf8_sequence(text, at);
        if (length == 0) {
            out += "\xEF\xBF\xBD";
            ++at;
            continue;
        }
        if (text[at] != '\0') out.append(text, at, length);
        at += length;
    }
    return out;
}

void append_html(std::string& out, std::string_view text) {
    for (char c : text) {
        switch (c) {
            case '&':
                out += "&amp;";
                break;
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '"':
                out += "&quot;";
                break;
            case '\'':
                out += "&#39;";
                break;
            default:
                out += c;
        }
    }
}

std::string base64(std::string_view octets) {
    std::string out;
    out.reserve((octets.size() + 2) / 3 * 4);
    append_base64(out, octets);
    return out;
}

std::string base64_lines(std::string_view octets) {
    std::string out;
    out.reserve(octets.size() / base64_octets_per_line * 78 + 80);
    for (size_t at = 0; at < octets.size(); at += base64_octets_per_line) {
        append_base64(out, octets.substr(at, base64_octets_per_line));
        out += "\r\n";
    }
    return out;
}

std::optional<std::string> decode_base64(std::string_view text) {
    std::string out;
    uint32_t bits = 0;
    int held = 0;
    bool padded = false;
    for (char c : text) {
        if (c == '\r' || c == '\n' || c == ' ' || c == '\t') continue;
        if (c == '=') {
            padded = true;
            continue;
        }
        size_t value = base64_alphabet.find(c);
        if (value == std::string_view::npos || padded) return std::nullopt;
        bits = bits << 6 | static_cast<uint32_t>(value);
        held += 6;
        if (held >= 8) {
            held -= 8;
            out += static_cast<char>(bits >> held & 0xFF);
        }
    }
    return out;
}

size_t append_quoted_printable(std::string& out, std::string_view text, size_t column) {
    size_t at = 0;
    auto make_room = [&](size_t width) {
        if (column + width > quoted_printable_columns) {
            out += "=\r\n";
            column = 0;
        }
        column += width;
    };
    const auto is_line_end = [&](size_t i) {
        return i == text.size() || text[i] == '\r' || text[i] == '\n';
    };
    const auto itself = [&](size_t i) {
        return stands_for_itself[static_cast<unsigned char>(text[i])] &&
               !(is_blank(text[i]) && is_line_end(i + 1));
    };
    while (at < text.size()) {
        size_t run =
            end_of_run(text, at, std::min(text.size(), at + quoted_printable_columns - column));
        if (run != at && is_blank(text[run - 1]) && is_line_end(run)) --run;
        if (run != at) {
            out.append(text, at, run - at);
            column += run - at;
            at = run;
            continue;
        }
        const bool as_it_is = itself(at);
        char c = text[at++];
        if (c == '\r' || c == '\n') {
            if (c == '\r' && at < text.size() && text[at] == '\n') ++at;
            out += "\r\n";
            column = 0;
            continue;
        }
        if (as_it_is) {
            make_room(1);
            out += c;
        } else {
            make_room(3);
            out += '=';
            out += hex[static_cast<unsigned char>(c) >> 4];
            out += hex[static_cast<unsigned char>(c) & 15];
        }
    }
    return column;
}

std::string decode_quoted_printable(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (size_t at = 0; at < text.size();) {
        char c = text[at];
        if (c == '=') {
            size_t blank = at + 1;
            while (blank < text.size() && (text[blank] == ' ' || text[blank] == '\t')) ++blank;
            if (blank == text.size()) return out;
            if (text.substr(blank, 2) == "\r\n") {
                at = blank + 2;
                continue;
            }
            int high = at + 2 < text.size() ? hex_value(text[at + 1]) : -1;
            int low = high >= 0 ? hex_value(text[at + 2]) : -1;
            if (low >= 0) {
                out += static_cast<char>(high << 4 | low);
                at += 3;
                continue;
            }
        }
        if (c == ' ' || c == '\t') {  // blanks before a line end came in transport
            size_t end = text.find_first_not_of(" \t", at);
            if (end == std::string_view::npos || text.substr(end, 2) == "\r\n") {
                at = end == std::string_view::npos ? text.size() : end;
                continue;
            }
        }
        out += c;
        ++at;
    }
    return out;
}

}  // namespace engine
