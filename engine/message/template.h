// The placeholder language: {{x}}, {{{x}}}, {{x|default}}, {{#if x}}…{{else}}…{{/if}}. Splits a
// text into pieces and checks that its blocks match; what a piece becomes in its place is the
// program's business (program.h).
#pragma once

#include <expected>
#include <string_view>
#include <vector>

#include "engine/message/problem.h"

namespace engine {

/// Views into the template's text, which must outlive the piece.
struct Piece {
    enum class Kind : uint8_t { text, value, if_begin, if_else, if_end };
    Kind kind = Kind::text;
    bool raw = false;           // {{{x}}}
    std::string_view text;      // text: itself; value and if_begin: the variable's name
    std::string_view fallback;  // value: the default
};

/// Blanks inside the braces do not count. A block tag that is alone on its line takes the line with
/// it, so that a block leaves no empty lines. Errors name line and column of the tag; `field` is
/// the path of the text.
std::expected<std::vector<Piece>, Problems> parse_template(std::string_view text,
                                                           std::string_view field);

/// Without looking further: may it hold placeholders at all?
inline bool has_placeholders(std::string_view text) {
    return text.find("{{") != std::string_view::npos;
}

/// "line 3, column 14"; columns count characters.
std::string position_of(std::string_view text, size_t offset);

}  // namespace engine
