#include "ingest/json_out.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

namespace ingest {

namespace {

/// Bytes of the well-formed UTF-8 sequence at the front (RFC 3629: no overlong forms, no
/// surrogates); 0: there is none.
size_t sequence_bytes(std::string_view text) {
    const auto at = [&](size_t i) {
        return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
    };
    const auto follows = [&](size_t i, unsigned least = 0x80, unsigned most = 0xbf) {
        return at(i) >= least && at(i) <= most;
    };
    const unsigned lead = at(0);
    if (lead >= 0xc2 && lead <= 0xdf) return follows(1) ? 2 : 0;
    if (lead >= 0xe0 && lead <= 0xef) {
        const unsigned least = lead == 0xe0 ? 0xa0 : 0x80, most = lead == 0xed ? 0x9f : 0xbf;
        return follows(1, least, most) && follows(2) ? 3 : 0;
    }
    if (lead >= 0xf0 && lead <= 0xf4) {
        const unsigned least = lead == 0xf0 ? 0x90 : 0x80, most = lead == 0xf4 ? 0x8f : 0xbf;
        return follows(1, least, most) && follows(2) && follows(3) ? 4 : 0;
    }
    return 0;
}

constexpr std::array<bool, 256> plain_table = [] {
    std::array<bool, 256> table{};
    for (int c = 0x20; c < 0x7f; ++c) table[static_cast<size_t>(c)] = c != '"' && c != '\\';
    return table;
}();

/// Appends one character or sequence that is not plain; returns the bytes it took.
size_t append_special(std::string& out, std::string_view text) {
    const auto c = static_cast<unsigned char>(text.front());
    switch (c) {
        case '"':
            out += "\\\"";
            return 1;
        case '\\':
            out += "\\\\";
            return 1;
        case '\n':
            out += "\\n";
            return 1;
        case '\r':
            out += "\\r";
            return 1;
        case '\t':
            out += "\\t";
            return 1;
        default:
            break;
    }
    if (c < 0x80) {
        fmt::format_to(std::back_inserter(out), "\\u{:04x}", c);
        return 1;
    }
    const size_t bytes = sequence_bytes(text);
    if (bytes == 0) {
        out += "\xef\xbf\xbd";
        return 1;
    }
    out.append(text.substr(0, bytes));
    return bytes;
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
    out += '"';
    while (!text.empty()) {
        size_t plain = 0;
        while (plain < text.size() && plain_table[static_cast<unsigned char>(text[plain])]) ++plain;
        out.append(text.substr(0, plain));
        text.remove_prefix(plain);
        if (!text.empty()) text.remove_prefix(append_special(out, text));
    }
    out += '"';
}

void JsonObject::key(std::string_view name) {
    if (!first_) out_ += ',';
    first_ = false;
    append_json_string(out_, name);
    out_ += ':';
}

JsonObject& JsonObject::text(std::string_view name, std::string_view value) {
    key(name);
    append_json_string(out_, value);
    return *this;
}

JsonObject& JsonObject::number(std::string_view name, double value) {
    key(name);
    fmt::format_to(std::back_inserter(out_), "{:.3f}", std::isfinite(value) ? value : 0.0);
    return *this;
}

JsonObject& JsonObject::raw(std::string_view name, std::string_view json) {
    key(name);
    out_ += json;
    return *this;
}

}  // namespace ingest
