// Every limit of this folder, by name. A content that passes them all can be rendered without a
// further check.
#pragma once

#include <cstddef>

namespace engine {

inline constexpr size_t content_bytes_max = 50u << 20;  // one message, rendered
inline constexpr size_t header_block_bytes_max = 256u << 10;
inline constexpr size_t header_fields_max = 1'000;
inline constexpr size_t header_name_octets_max = 76;
inline constexpr size_t line_octets_max = 998;  // RFC 5322 2.1.1, without CRLF
inline constexpr size_t line_octets_aim = 78;
// Longer stretches without a blank are encoded or broken: indent, name and this stay below
// line_octets_max.
inline constexpr size_t header_word_octets_max = 900;
inline constexpr size_t template_nesting_max = 16;
inline constexpr size_t placeholders_max = 10'000;
inline constexpr size_t operations_max = 160'000;  // of a compiled content
inline constexpr size_t variables_max = 256;
inline constexpr size_t variable_name_octets_max = 64;
inline constexpr size_t attachments_max = 100;
inline constexpr size_t mime_nesting_max = 30;  // each level reads its parts again
inline constexpr size_t mime_parts_max = 1'000;
inline constexpr size_t problems_max = 100;  // of one content; more help nobody

}  // namespace engine
