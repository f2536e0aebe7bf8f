// Encodings of single texts: UTF-8 checks, HTML escape, base64, quoted-printable. Knows no fields
// and no parts.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace engine {

/// Length of the valid UTF-8 sequence at `at` (RFC 3629: no overlong forms, no surrogates), or 0.
size_t utf8_sequence(std::string_view text, size_t at);
bool is_utf8(std::string_view text);
bool is_ascii(std::string_view text);
/// `text` with U+FFFD for every octet that is not part of valid UTF-8, and without NUL.
std::string clean_utf8(std::string_view text);

void append_html(std::string& out, std::string_view text);

/// One piece without line ends, as encoded-words need it.
std::string base64(std::string_view octets);
/// In lines of 76 with CRLF after each, as bodies need it.
std::string base64_lines(std::string_view octets);
std::optional<std::string> decode_base64(std::string_view text);  // skips blanks and line ends

/// Appends `text` as quoted-printable (RFC 2045 6.7), going on at `column` of the current line;
/// gives the column that it leaves. CRLF, LF and CR become line ends. No line grows over 76, and a
/// blank is never the last octet of a piece: what follows may be a line end, and relays strip
/// blanks there.
size_t append_quoted_printable(std::string& out, std::string_view text, size_t column);
/// Lenient as RFC 2045 advises: what is no valid escape stays as it is.
std::string decode_quoted_printable(std::string_view text);

}  // namespace engine
