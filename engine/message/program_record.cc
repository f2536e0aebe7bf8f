// How a Program is stored. Version 1: varints and length-prefixed texts; every number is checked
// when it is read, since a record may come from a damaged disk.
#include <algorithm>

#include "engine/message/limits.h"
#include "engine/message/program.h"
#include "engine/message/varint.h"

namespace engine {
namespace {

constexpr char record_version = 1;
constexpr uint64_t octets_max = 2 * content_bytes_max;
constexpr uint8_t column_max = 76;

bool has_octets(Op::Kind kind) {
    return kind != Op::Kind::soft_break && kind != Op::Kind::skip_unless &&
           kind != Op::Kind::skip && kind != Op::Kind::field_end;
}
bool has_slot(Op::Kind kind) {
    return kind == Op::Kind::value || kind == Op::Kind::skip_unless ||
           kind == Op::Kind::field_value;
}
bool has_target(Op::Kind kind) {
    return kind == Op::Kind::skip_unless || kind == Op::Kind::skip;
}
bool belongs_in_field(Op::Kind kind) {
    return kind == Op::Kind::field_text || kind == Op::Kind::field_value ||
           kind == Op::Kind::field_end;
}

/// Bodies' ops outside of fields, fields' ops inside, and no skip that leaves or enters a field.
bool well_formed(const std::vector<Op>& ops) {
    std::vector<uint32_t> field_of(ops.size() + 1, 0);  // 0: outside; else 1 + index of field_begin
    uint32_t inside = 0;
    for (uint32_t i = 0; i < ops.size(); ++i) {
        if (ops[i].kind == Op::Kind::field_begin) {
            if (inside != 0) return false;
            inside = i + 1;
        } else {
            if (!has_target(ops[i].kind) && belongs_in_field(ops[i].kind) != (inside != 0))
                return false;
            field_of[i] = inside;
            if (ops[i].kind == Op::Kind::field_end) inside = 0;
        }
    }
    if (inside != 0) return false;
    for (uint32_t i = 0; i < ops.size(); ++i)
        if (has_target(ops[i].kind) && (ops[i].target <= i || ops[i].target > ops.size() ||
                                        field_of[ops[i].target] != field_of[i]))
            return false;
    return true;
}

}  // namespace

std::string Program::encode() const {
    std::string out;
    out.reserve(octets.size() + 16 * ops.size() + 64);
    out += record_version;
    out += eight_bit ? '\1' : '\0';
    put_varint(out, variables.size());
    for (const std::string& name : variables) put_text(out, name);
    put_varint(out, ops.size());
    for (const Op& op : ops) {
        out += static_cast<char>(op.kind);
        out += static_cast<char>(static_cast<uint8_t>(op.escape) |
                                 static_cast<uint8_t>(op.field) << 1 | (op.raw ? 8 : 0));
        if (has_octets(op.kind)) {
            put_varint(out, op.offset);
            put_varint(out, op.length);
        }
        if (op.kind == Op::Kind::literal) out += static_cast<char>(op.column);
        if (has_slot(op.kind)) put_varint(out, op.slot);
        if (has_target(op.kind)) put_varint(out, op.target);
    }
    put_text(out, octets);
    return out;
}

std::expected<Program, std::string> Program::decode(std::string_view bytes) {
    auto damaged = [](std::string what) {
        return std::unexpected("content record: " + std::move(what));
    };
    if (bytes.size() < 2) return damaged("too short");
    if (bytes[0] != record_version)
        return damaged("unknown version " + std::to_string(static_cast<uint8_t>(bytes[0])));
    if (bytes[1] != 0 && bytes[1] != 1) return damaged("bad flags");
    Program program;
    program.eight_bit = bytes[1] == 1;
    VarintReader in(bytes.substr(2));

    uint64_t count = in.number(variables_max);
    for (uint64_t i = 0; i < count && in.ok(); ++i)
        program.variables.emplace_back(in.text(variable_name_octets_max));
    count = in.number(operations_max);
    for (uint64_t i = 0; i < count && in.ok(); ++i) {
        Op op;
        uint8_t kind = in.octet(), form = in.octet();
        if (kind > static_cast<uint8_t>(Op::Kind::field_end) || form > 15 || (form >> 1 & 3) > 2)
            return damaged("bad operation");
        op.kind = static_cast<Op::Kind>(kind);
        op.escape = static_cast<Op::Escape>(form & 1);
        op.field = static_cast<FieldKind>(form >> 1 & 3);
        op.raw = (form & 8) != 0;
        if (has_octets(op.kind)) {
            op.offset = static_cast<uint32_t>(in.number(octets_max));
            op.length = static_cast<uint32_t>(in.number(octets_max));
        }
        if (op.kind == Op::Kind::literal) op.column = in.octet();
        if (has_slot(op.kind)) op.slot = static_cast<uint16_t>(in.number(variables_max));
        if (has_target(op.kind)) op.target = static_cast<uint32_t>(in.number(operations_max));
        program.ops.push_back(op);
    }
    program.octets = in.text(octets_max);
    if (!in.ok() || !in.done()) return damaged("lengths do not add up");
    for (const Op& op : program.ops) {
        if (uint64_t{op.offset} + op.length > program.octets.size() || op.column > column_max)
            return damaged("an operation points outside");
        if (has_slot(op.kind) && op.slot >= program.variables.size())
            return damaged("an operation names no variable");
    }
    if (!well_formed(program.ops)) return damaged("operations do not fit together");
    return program;
}

}  // namespace engine
