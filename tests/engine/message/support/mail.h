// Shared by the tests of engine/message: short ways to make and to read mails.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/message/content.h"

namespace test {

extern const engine::Origin origin;  // job 7 at host mx.example.com, 2026-11-22 13:00:00 UTC

/// From news@example.com, subject "Hello", text "Hi".
engine::MailParts simple();

/// Asserts that it compiles.
engine::Content compile(const engine::MailParts& parts);
engine::Content compile_raw(std::string_view raw, engine::Templating templating);

std::string render(const engine::Content& content, const engine::Content::Vars& vars,
                   std::string_view to = "ann@example.org", uint32_t index = 0);

/// The codes of what is wrong, in order.
std::vector<std::string> codes(const engine::Problems& problems);
std::vector<std::string> problems_of(const engine::MailParts& parts);
std::vector<std::string> problems_of_raw(std::string_view raw, engine::Templating templating);

struct Parsed {
    std::vector<std::pair<std::string, std::string>> fields;  // unfolded, in order
    std::string body;
    /// The value of the only such field; "(none)" or "(many)" otherwise.
    std::string field(std::string_view name) const;
};
Parsed parse(std::string_view mail);

/// What a reader shows of an unstructured field (RFC 2047), written apart from the encoder.
std::string shown(std::string_view value);
/// The text of a quoted-printable body, strict: an invalid escape, a raw control character or a
/// line over 76 characters gives "(invalid)".
std::string unquoted(std::string_view body);

/// Nothing that SMTP forbids: CRLF only and at the end, no NUL, no line over 998.
bool fits_smtp(std::string_view mail);

}  // namespace test
