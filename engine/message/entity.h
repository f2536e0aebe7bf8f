// Entity: a MIME part as text, taken apart: its header fields, its body, what its header says of
// the body, and the parts of a multipart. Lenient and without copies: what is broken is the
// submitter's.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace engine {

struct HeaderField {
    std::string_view name, value, whole;  // value: without the ':', folds and last CRLF kept out
    size_t line = 0;                      // of the entity, from 1
};

struct Entity {
    std::vector<HeaderField> fields;
    std::string_view body;
    bool separated = false;  // an empty line came before the body
};

/// What is no field ends the header; the top of a message is checked by the caller.
Entity split_entity(std::string_view text);

/// The value on one line.
std::string unfold(std::string_view value);
std::string_view trim(std::string_view text);
std::string lower_case(std::string_view text);

/// One of a field's parameters ("; name=value"). `value` is without quotes and backslashes.
struct Parameter {
    std::string_view name, whole;
    std::string value;
};
/// Of an unfolded value, which must outlive them.
std::vector<Parameter> split_parameters(std::string_view value);

/// What decides how a part is treated. Lower case but the boundary.
struct PartType {
    std::string type = "text/plain", charset, boundary, encoding = "7bit";
    bool attachment = false;
};
PartType type_of(const Entity& entity);

/// A multipart's body: each of its parts, and the text around it, in order. All texts together are
/// the body.
struct BodyPiece {
    enum class Kind : unsigned char { between, part };
    Kind kind = Kind::between;
    std::string_view text;
};
std::vector<BodyPiece> split_multipart(std::string_view body, std::string_view boundary);

}  // namespace engine
