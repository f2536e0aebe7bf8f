// The compiled form of a content: literal octets as they go to the wire, and a few operations
// between them.
//
// Columns. A quoted-printable line has at most 76 characters, so whoever encodes a piece must know
// at which column it starts. Literals are encoded once, at compile time; hence every literal starts
// at column 0 or where the literal before it ended. A soft line break goes behind a placeholder,
// and around {{#if}}, wherever that would not hold otherwise.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/message/field.h"
#include "engine/message/template.h"

namespace engine {

struct Op {
    enum class Kind : uint8_t {
        literal,      // octets; `column` is where they leave the line
        value,        // of a body: escaped, quoted-printable
        soft_break,   // "=" CRLF unless the line is empty
        skip_unless,  // goes to `target` when the variable is false
        skip,         // goes to `target`
        field_begin,  // octets are the field's name; what follows up to field_end is its value
        field_text,   // octets in the form of field.h
        field_value,
        field_end
    };
    enum class Escape : uint8_t { none, html };
    Kind kind = Kind::literal;
    Escape escape = Escape::none;
    FieldKind field = FieldKind::text;  // field_begin
    bool raw = false;                   // field_value
    uint16_t slot = 0;                  // value, skip_unless, field_value
    uint32_t offset = 0, length = 0;    // octets in `octets`; of values: the default
    uint32_t target = 0;                // index of an op, always further on
    uint8_t column = 0;
    bool operator==(const Op&) const = default;
};

/// The value of every slot; what is missing is empty.
using Slots = std::vector<std::string_view>;

struct Program {
    std::vector<Op> ops;
    std::string octets;
    std::vector<std::string> variables;  // by slot
    bool eight_bit = false;

    /// Renders. `utf8_address`: see append_field.
    std::string run(const Slots& slots, std::string_view utf8_address) const;
    /// The value of the field at ops[begin] in the form of field.h, and the index of its field_end.
    std::pair<std::string, size_t> field_value(size_t begin, const Slots& slots) const;
    bool constant() const;  // no operation looks at a variable
    /// The body, when every rendering has the same; nothing when an operation writes into it.
    std::optional<std::string_view> constant_body() const;
    bool utf8_header() const;  // the message's header holds octets above 127 (raw messages)

    std::string encode() const;
    static std::expected<Program, std::string> decode(std::string_view bytes);

  private:
    /// The header is literals, which end their lines, and fields; the empty line behind it stands
    /// in a literal, and the body begins `offset` octets into it.
    struct BodyBegin {
        size_t op, offset;
    };
    std::optional<BodyBegin> body_begin() const;
    std::string_view literal(const Op& op) const {
        return std::string_view(octets).substr(op.offset, op.length);
    }
};

/// "false", "0", empty and missing are false.
inline bool is_true(std::string_view value) {
    return !value.empty() && value != "false" && value != "0";
}

/// Makes a Program. The caller has parsed the templates; nothing here can fail.
class ProgramBuilder {
  public:
    enum class FieldText : uint8_t {
        utf8,  // the object form: plain text
        raw    // a raw message: header syntax, folds included
    };

    /// Room for about so many octets, so that they are not moved while the program grows.
    void reserve(size_t octets) {
        constexpr size_t ops_of_a_plain_mail = 20, variables_of_one = 4;
        program_.octets.reserve(octets);
        program_.ops.reserve(ops_of_a_plain_mail);
        program_.variables.reserve(variables_of_one);
        by_name_.reserve(variables_of_one);
    }
    /// Octets as they are; they end a line.
    void literal(std::string_view octets);
    /// A field; written now when no piece is a placeholder.
    void field(std::string_view name, std::span<const Piece> pieces, FieldText form);
    /// A quoted-printable body from column 0. Ends with a line end if `text` has one at its end.
    void body(const std::vector<Piece>& pieces, Op::Escape escape);
    bool constant() const { return program_.constant(); }
    Program finish() &&;

  private:
    uint16_t slot(std::string_view name);
    void octets(Op::Kind kind, std::string_view bytes, uint8_t column);
    Op with_default(Op op, std::string_view fallback);
    void control(const Piece& piece, bool in_body);
    void soft_break();

    Program program_;
    std::vector<uint16_t> by_name_;  // slots in the order of their names
    std::vector<size_t> open_;       // ops of skips whose target is not known yet
    size_t barrier_ = 0;  // a literal before this op is some skip's target: it must not grow
    std::optional<size_t> column_ = 0;  // of the body; nothing: known at run time only
};

}  // namespace engine
