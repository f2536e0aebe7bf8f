#include "engine/message/program.h"

#include <algorithm>

#include "engine/message/encode.h"
#include "engine/message/limits.h"
#include "metrics/check.h"

namespace engine {
namespace {

constexpr size_t quoted_printable_columns = 75;

/// Most values are short words; they are copied in one go.
size_t append_body_value(std::string& out, std::string_view value, Op::Escape escape,
                         size_t column) {
    auto copied_as_it_is = [&](char c) {
        return c > 32 && c < 127 && c != '=' && c != '&' && c != '<' && c != '>' && c != '"' &&
               c != '\'';
    };
    if (column + value.size() <= quoted_printable_columns &&
        std::ranges::all_of(value, copied_as_it_is)) {
        out.append(value);
        return column + value.size();
    }
    std::string cleaned, escaped;
    if (!is_utf8(value) || value.find('\0') != std::string_view::npos)
        value = cleaned = clean_utf8(value);
    if (escape == Op::Escape::html) {
        append_html(escaped, value);
        value = escaped;
    }
    return append_quoted_printable(out, value, column);
}

}  // namespace

std::string Program::run(const Slots& slots, std::string_view utf8_address) const {
    std::string out;
    size_t values = 0;
    for (std::string_view value : slots) values += value.size();
    out.reserve(octets.size() + 2 * values + 64);
    size_t column = 0;
    const std::string_view all = octets;
    for (size_t i = 0; i < ops.size();) {
        const Op& op = ops[i++];
        switch (op.kind) {
            case Op::Kind::literal:
                out.append(all.data() + op.offset, op.length);
                column = op.column;
                break;
            case Op::Kind::value: {
                std::string_view value = slots[op.slot];
                if (value.empty()) value = all.substr(op.offset, op.length);
                column = append_body_value(out, value, op.escape, column);
                break;
            }
            case Op::Kind::soft_break:
                if (column != 0) out.append("=\r\n");
                column = 0;
                break;
            case Op::Kind::skip_unless:
                if (!is_true(slots[op.slot])) i = op.target;
                break;
            case Op::Kind::skip:
                i = op.target;
                break;
            case Op::Kind::field_begin: {
                auto [value, end] = field_value(i - 1, slots);
                append_field(out, all.substr(op.offset, op.length), op.field, value, utf8_address);
                i = end + 1;
                break;
            }
            case Op::Kind::field_text:
            case Op::Kind::field_value:
            case Op::Kind::field_end:
                CHECK(false, "a field's op outside of a field");
        }
    }
    return out;
}

std::pair<std::string, size_t> Program::field_value(size_t begin, const Slots& slots) const {
    std::string text;
    const std::string_view all = octets;
    FieldKind kind = ops[begin].field;
    size_t i = begin + 1;
    while (ops[i].kind != Op::Kind::field_end) {
        const Op& op = ops[i++];
        std::string_view bytes = all.substr(op.offset, op.length);
        switch (op.kind) {
            case Op::Kind::field_text:
                text += bytes;
                break;
            case Op::Kind::field_value: {
                std::string_view value = slots[op.slot].empty() ? bytes : slots[op.slot];
                if (op.raw)
                    append_field_raw(text, value);
                else
                    append_field_value(text, value, kind);
                break;
            }
            case Op::Kind::skip_unless:
                if (!is_true(slots[op.slot])) i = op.target;
                break;
            case Op::Kind::skip:
                i = op.target;
                break;
            default:
                CHECK(false, "a body's op inside of a field");
        }
    }
    return {std::move(text), i};
}

bool Program::constant() const {
    return std::ranges::all_of(ops, [](const Op& op) { return op.kind == Op::Kind::literal; });
}

std::optional<Program::BodyBegin> Program::body_begin() const {
    for (size_t i = 0; i < ops.size(); ++i) {
        if (ops[i].kind == Op::Kind::field_begin) {
            while (ops[i].kind != Op::Kind::field_end) ++i;
            continue;
        }
        if (ops[i].kind != Op::Kind::literal) break;
        const std::string_view text = literal(ops[i]);
        if (text.starts_with("\r\n")) return BodyBegin{i, 2};
        const size_t empty_line = text.find("\r\n\r\n");
        if (empty_line != std::string_view::npos) return BodyBegin{i, empty_line + 4};
    }
    return std::nullopt;
}

std::optional<std::string_view> Program::constant_body() const {
    const auto begin = body_begin();
    if (!begin) return std::nullopt;
    const Op& first = ops[begin->op];
    size_t end = size_t{first.offset} + first.length;
    for (size_t i = begin->op + 1; i < ops.size(); ++i) {
        if (ops[i].kind != Op::Kind::literal || ops[i].offset != end) return std::nullopt;
        end += ops[i].length;
    }
    const size_t from = first.offset + begin->offset;
    return std::string_view(octets).substr(from, end - from);
}

bool Program::utf8_header() const {
    const auto begin = body_begin();
    if (!eight_bit || !begin) return false;
    for (size_t i = 0; i < begin->op; ++i)
        if (ops[i].kind == Op::Kind::literal && !is_ascii(literal(ops[i]))) return true;
    return !is_ascii(literal(ops[begin->op]).substr(0, begin->offset));
}

uint16_t ProgramBuilder::slot(std::string_view name) {
    auto& names = program_.variables;
    const auto at = std::ranges::lower_bound(
        by_name_, name, {}, [&](uint16_t slot) { return std::string_view(names[slot]); });
    if (at != by_name_.end() && names[*at] == name) return *at;
    const auto index = static_cast<uint16_t>(names.size());
    by_name_.insert(at, index);
    names.emplace_back(name);
    return index;
}

void ProgramBuilder::octets(Op::Kind kind, std::string_view bytes, uint8_t column) {
    if (bytes.empty()) return;
    auto& ops = program_.ops;
    auto& all = program_.octets;
    if (kind == Op::Kind::literal && ops.size() > barrier_ && !ops.empty() &&
        ops.back().kind == kind && ops.back().offset + ops.back().length == all.size()) {
        ops.back().length += static_cast<uint32_t>(bytes.size());
        ops.back().column = column;
    } else {
        ops.push_back({.kind = kind,
                       .offset = static_cast<uint32_t>(all.size()),
                       .length = static_cast<uint32_t>(bytes.size()),
                       .column = column});
    }
    all += bytes;
    program_.eight_bit = program_.eight_bit || (kind == Op::Kind::literal && !is_ascii(bytes));
}

Op ProgramBuilder::with_default(Op op, std::string_view fallback) {
    op.offset = static_cast<uint32_t>(program_.octets.size());
    op.length = static_cast<uint32_t>(fallback.size());
    program_.octets += fallback;
    return op;
}

void ProgramBuilder::literal(std::string_view bytes) {
    octets(Op::Kind::literal, bytes, 0);
    column_ = 0;
}

void ProgramBuilder::control(const Piece& piece, bool in_body) {
    auto& ops = program_.ops;
    if (in_body) soft_break();
    switch (piece.kind) {
        case Piece::Kind::if_begin:
            open_.push_back(ops.size());
            ops.push_back({.kind = Op::Kind::skip_unless, .slot = slot(piece.text)});
            break;
        case Piece::Kind::if_else: {
            size_t begin = open_.back();
            open_.back() = ops.size();
            ops.push_back({.kind = Op::Kind::skip});
            ops[begin].target = static_cast<uint32_t>(ops.size());
            break;
        }
        case Piece::Kind::if_end:
            ops[open_.back()].target = static_cast<uint32_t>(ops.size());
            open_.pop_back();
            break;
        default:
            CHECK(false, "not a block's piece");
    }
    barrier_ = ops.size();
}

void ProgramBuilder::soft_break() {
    if (column_ != 0) program_.ops.push_back({.kind = Op::Kind::soft_break});
    column_ = 0;
}

void ProgramBuilder::field(std::string_view name, std::span<const Piece> pieces, FieldText form) {
    FieldKind kind = field_kind(name);
    auto text = [&](std::string_view piece) {
        std::string value;
        if (form == FieldText::raw)
            append_field_raw(value, piece);
        else
            append_field_text(value, piece, kind);
        return value;
    };
    if (std::ranges::all_of(pieces, [](auto& p) { return p.kind == Piece::Kind::text; })) {
        std::string value, line;
        for (const Piece& piece : pieces) value += text(piece.text);
        append_field(line, name, kind, value, {});
        return literal(line);
    }
    octets(Op::Kind::field_begin, name, 0);
    program_.ops.back().field = kind;
    for (const Piece& piece : pieces) {
        if (piece.kind == Piece::Kind::text) {
            octets(Op::Kind::field_text, text(piece.text), 0);
        } else if (piece.kind == Piece::Kind::value) {
            program_.ops.push_back(with_default(
                {.kind = Op::Kind::field_value, .raw = piece.raw, .slot = slot(piece.text)},
                piece.fallback));
        } else {
            control(piece, false);
        }
    }
    program_.ops.push_back({.kind = Op::Kind::field_end});
    barrier_ = program_.ops.size();
}

void ProgramBuilder::body(const std::vector<Piece>& pieces, Op::Escape escape) {
    for (const Piece& piece : pieces) {
        if (piece.kind == Piece::Kind::value) {
            program_.ops.push_back(with_default({.kind = Op::Kind::value,
                                                 .escape = piece.raw ? Op::Escape::none : escape,
                                                 .slot = slot(piece.text)},
                                                piece.fallback));
            column_.reset();
        } else if (piece.kind != Piece::Kind::text) {
            control(piece, true);
        } else if (!piece.text.empty()) {
            if (!column_ && piece.text[0] != '\r' && piece.text[0] != '\n') soft_break();
            std::string encoded;
            encoded.reserve(piece.text.size() + piece.text.size() / 16 + 16);
            column_ = append_quoted_printable(encoded, piece.text, column_.value_or(0));
            octets(Op::Kind::literal, encoded, static_cast<uint8_t>(*column_));
        }
    }
}

Program ProgramBuilder::finish() && {
    CHECK(open_.empty(), "a block that the parser should have refused");
    // Contents wait in memory. A small rest is not worth the copy.
    program_.ops.shrink_to_fit();
    if (program_.octets.capacity() - program_.octets.size() > program_.octets.size() / 16 + 64)
        program_.octets.shrink_to_fit();
    return std::move(program_);
}

}  // namespace engine
