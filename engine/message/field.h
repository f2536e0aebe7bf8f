// Header fields on their way out: RFC 2047 encoded-words, folding, mailbox lists. One writer serves
// the fields that are fixed at compile time and those that hold placeholders, so both get the same
// care.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace engine {

/// How a field's value is written.
enum class FieldKind : uint8_t {
    text,       // unstructured: Subject and all that we do not know
    mailboxes,  // From, To, Cc, Reply-To, Sender…
    tokens      // no encoded-words: List-*, message ids, MIME fields; what is not ASCII becomes %XX
};
FieldKind field_kind(std::string_view name);

/// A field's value on its way: UTF-8 without control characters, in which `field_mark` before a
/// character says that it came as data and has no meaning of its own ("<" is no bracket, "=?"
/// begins no encoded-word).
inline constexpr char field_mark = '\x01';

/// Appends a value as data ({{x}}): marked, or percent-encoded for tokens. CR, LF, NUL and other
/// controls are left out.
void append_field_value(std::string& out, std::string_view value, FieldKind kind);
/// Appends the submitter's own text in UTF-8: structure keeps its meaning, but "=?" is text.
void append_field_text(std::string& out, std::string_view text, FieldKind kind);
/// Appends what is in header form already (raw messages, {{{x}}}): nothing is marked.
void append_field_raw(std::string& out, std::string_view text);

struct Mailbox {
    std::string name;     // may hold marks
    std::string address;  // checked by split_address
};
struct MailboxList {
    std::vector<Mailbox> mailboxes;
    std::string
        group;  // "undisclosed-recipients" of "undisclosed-recipients:;", then without mailboxes
    std::string problem;  // a sentence on the first thing that is no mailbox, and was left out;
                          // empty when none
};
/// The usual mailbox, "Ann Lee <ann@example.org>" or the address alone: letters, digits and blanks
/// need no care, and most mails have one such per recipient.
bool is_plain_mailbox(std::string_view value);
/// `value` in the form above. Lenient: comments and empty entries are skipped.
MailboxList parse_mailboxes(std::string_view value);

/// Appends "name: value CRLF" with folds: aims at 78 octets a line, never over 998. Appends nothing
/// when the value turns out empty. `utf8_address`: the one address that may keep octets above 127
/// (its delivery needs SMTPUTF8 anyway).
void append_field(std::string& out, std::string_view name, FieldKind kind, std::string_view value,
                  std::string_view utf8_address);

}  // namespace engine
