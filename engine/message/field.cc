#include "engine/message/field.h"

#include <algorithm>
#include <array>

#include "engine/message/address.h"
#include "engine/message/encode.h"
#include "engine/message/limits.h"

namespace engine {
namespace {

constexpr size_t encoded_word_octets_max = 75;  // RFC 2047 2
constexpr size_t encoded_line_octets_max = 76;
constexpr size_t quoted_string_octets_max = 60;
constexpr std::string_view q_open = "=?utf-8?q?";
constexpr std::string_view b_open = "=?utf-8?b?";
constexpr size_t encoded_word_frame = 12;  // both opens, and "?="
constexpr size_t blank_run_max =
    60;  // longer runs of blanks would leave a line of nothing but them
constexpr std::string_view specials = "()<>[]:;@\\,.\"";  // RFC 5322 3.2.3
constexpr std::string_view hex = "0123456789ABCDEF";

enum class Words : uint8_t { unstructured, phrase };

bool same_word(std::string_view a, std::string_view b) {
    return std::ranges::equal(a, b, [](char x, char y) {
        auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
        return lower(x) == lower(y);
    });
}

bool is_control(char c) {
    return (static_cast<unsigned char>(c) < 32 && c != '\t') || c == 127;
}
bool is_high(char c) {
    return static_cast<unsigned char>(c) >= 0x80;
}

std::string_view trim(std::string_view text) {
    size_t start = text.find_first_not_of(" \t");
    if (start == std::string_view::npos) return {};
    return text.substr(start, text.find_last_not_of(" \t") - start + 1);
}

std::string without_marks(std::string_view text) {
    std::string out(text);
    std::erase(out, field_mark);
    return out;
}

/// Keeps the column, so that the next word knows whether it fits.
class FieldWriter {
  public:
    FieldWriter(std::string& out, std::string_view name) : out_(out) {
        out_.append(name);
        out_ += ':';
        column_ = name.size() + 1;
    }
    /// `blanks` go before the word, or begin the next line when the word does not fit any more.
    void word(std::string_view blanks, std::string_view text) {
        bool foldable = !blanks.empty() && !first_;
        if (foldable && column_ + blanks.size() + text.size() > line_octets_aim) fold();
        put(blanks);
        put(text);
    }
    void fold() {
        out_ += "\r\n";
        column_ = 0;
    }
    void put(std::string_view text) {
        out_.append(text);
        column_ += text.size();
        first_ = false;
    }
    /// Room for the text of one encoded-word on this line, less when a word does not make sense
    /// there.
    size_t encoded_room(size_t blanks) const {
        size_t used = column_ + blanks + encoded_word_frame;
        return used < encoded_line_octets_max ? encoded_line_octets_max - used : 0;
    }
    void end() { out_ += "\r\n"; }

  private:
    std::string& out_;
    size_t column_ = 0;
    bool first_ = true;
};

/// In both contexts (RFC 2047 5: a phrase allows letters, digits and "!*+-/" only) the same small
/// set.
bool q_plain(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '!' ||
           c == '*' || c == '+' || c == '-' || c == '/';
}
size_t q_octets(std::string_view text) {
    size_t octets = 0;
    for (char c : text) octets += q_plain(c) || c == ' ' ? 1 : 3;
    return octets;
}

/// Writes `text` as encoded-words, each of whole characters. Words of one text join when shown, so
/// blanks inside are kept.
void put_encoded(FieldWriter& writer, std::string_view blanks, std::string_view text) {
    constexpr size_t room_min = 12;  // one character of four octets in Q
    // Q can be read in a log; it may cost half as much again.
    bool q = q_octets(text) <= text.size() * 2;
    std::string_view before = blanks.empty() ? std::string_view(" ") : blanks;
    size_t at = 0;
    while (at < text.size()) {
        size_t room = std::min(writer.encoded_room(before.size()),
                               encoded_word_octets_max - encoded_word_frame);
        if (room < room_min) {
            writer.fold();
            room = encoded_word_octets_max - encoded_word_frame - before.size();
        }
        size_t end = at, octets = 0;
        while (end < text.size()) {
            size_t length = std::max<size_t>(1, utf8_sequence(text, end));
            size_t next =
                q ? octets + q_octets(text.substr(end, length)) : (end + length - at + 2) / 3 * 4;
            if (next > room) break;
            octets = next;
            end += length;
        }
        std::string word(q ? q_open : b_open);
        std::string_view part = text.substr(at, end - at);
        if (q) {
            for (char c : part) {
                if (q_plain(c)) {
                    word += c;
                } else if (c == ' ') {
                    word += '_';
                } else {
                    word += '=';
                    word += hex[static_cast<unsigned char>(c) >> 4];
                    word += hex[static_cast<unsigned char>(c) & 15];
                }
            }
        } else {
            word += base64(part);
        }
        word += "?=";
        writer.put(before);
        writer.put(word);
        before = " ";
        at = end;
    }
}

struct Word {
    std::string_view blanks, text;
    bool encode = false;   // cannot stand as it is
    bool encoded = false;  // is an encoded-word of the submitter's
};

/// Data that would be taken for an encoded-word.
constexpr char marked_word_bytes[] = {field_mark, '=', '?'};
constexpr std::string_view marked_encoded_word(marked_word_bytes, sizeof marked_word_bytes);

bool must_encode(std::string_view word, Words where) {
    if (word.size() > header_word_octets_max) return true;
    if (word.find(marked_encoded_word) != std::string_view::npos) return true;
    for (size_t i = 0; i < word.size(); ++i) {
        if (is_high(word[i])) return true;
        if (where == Words::phrase &&
            (word[i] == field_mark || specials.find(word[i]) != std::string_view::npos))
            return true;
    }
    return false;
}

std::vector<Word> split_words(std::string_view text, Words where) {
    std::vector<Word> words;
    size_t at = 0;
    while (at < text.size()) {
        size_t start = text.find_first_not_of(" \t", at);
        if (start == std::string_view::npos) break;  // trailing blanks say nothing
        size_t end = std::min(text.find_first_of(" \t", start), text.size());
        Word word{text.substr(at, start - at), text.substr(start, end - start)};
        word.encode = must_encode(word.text, where);
        word.encoded = !word.encode && word.text.starts_with("=?") && word.text.ends_with("?=");
        words.push_back(word);
        at = end;
    }
    if (!words.empty()) words.front().blanks = {};
    return words;
}

std::string_view bounded(std::string_view blanks) {
    return blanks.substr(0, blank_run_max);
}

/// Neighbours that need it are encoded together with the blanks between them: blanks between
/// encoded-words are not shown.
void put_words(FieldWriter& writer, std::string_view lead, std::string_view text, Words where) {
    std::vector<Word> words = split_words(text, where);
    for (size_t i = 0; i < words.size(); ++i) {
        std::string_view blanks = i == 0 ? lead : bounded(words[i].blanks);
        if (!words[i].encode) {
            writer.word(blanks, without_marks(words[i].text));
            continue;
        }
        size_t last = i;
        while (last + 1 < words.size() && words[last + 1].encode) ++last;
        const char* start = words[i].text.data();
        // An encoded-word of the submitter's before this one would swallow the blank between them.
        bool joined = i > 0 && words[i - 1].encoded;
        if (joined) start -= words[i].blanks.size();
        std::string run =
            without_marks({start, static_cast<size_t>(words[last].text.data() +
                                                      words[last].text.size() - start)});
        if (last + 1 < words.size() && words[last + 1].encoded) run += words[last + 1].blanks;
        std::ranges::replace(run, '\t', ' ');
        put_encoded(writer, joined ? " " : blanks, run);
        i = last;
    }
}

void put_phrase(FieldWriter& writer, std::string_view lead, std::string_view name) {
    bool plain = name.find(field_mark) == std::string_view::npos &&
                 name.find_first_of(specials) == std::string_view::npos;
    bool has_encoded_word = name.find("=?") != std::string_view::npos;
    if (plain || !is_ascii(name) || has_encoded_word || name.size() > quoted_string_octets_max)
        return put_words(writer, lead, name, Words::phrase);
    std::string quoted = "\"";
    for (char c : without_marks(name)) {
        if (c == '"' || c == '\\') quoted += '\\';
        quoted += c;
    }
    writer.word(lead, quoted + '"');
}

/// Takes a list apart, entry by entry; commas in quoted strings, comments and brackets, and marked
/// ones, part nothing.
class MailboxScanner {
  public:
    explicit MailboxScanner(std::string_view text) : text_(text) {}

    bool done() const { return at_ >= text_.size(); }
    /// One entry of the list, up to its comma.
    struct Entry {
        std::string phrase, address;
        std::string bare;  // the entry as it is, for one that is an address without brackets
        bool angle = false, group = false, broken = false;
    };
    Entry next() {
        Entry entry;
        int comments = 0;
        bool quoted = false, inside = false;
        for (; at_ < text_.size(); ++at_) {
            char c = text_[at_];
            std::string& part = inside ? entry.address : entry.phrase;
            size_t taken = at_;
            if (c == field_mark || (c == '\\' && (quoted || comments > 0))) {
                if (++at_ >= text_.size()) break;
                if (comments > 0) continue;
                if (c == field_mark || inside) {
                    part += c;
                    part += text_[at_];
                } else {
                    quote(part, text_[at_]);
                }
            } else if (quoted) {
                if (c == '"') quoted = false;
                if (inside)
                    part += c;
                else if (c != '"')
                    quote(part, c);
            } else if (comments > 0) {
                comments += c == '(' ? 1 : c == ')' ? -1 : 0;
            } else if (c == '(') {
                comments = 1;
            } else if (c == '"') {
                quoted = true;
                entry.broken = entry.broken || (entry.angle && !inside);
                if (inside) part += c;
            } else if (c == '<') {
                entry.broken = entry.broken || entry.angle;
                entry.angle = inside = true;
            } else if (c == '>') {
                entry.broken = entry.broken || !inside;
                inside = false;
            } else if (inside) {
                part += c;
            } else if (c == ',') {
                break;
            } else if (c == ':' && text_.find(';', at_) != std::string_view::npos) {
                entry.group = true;
                size_t end = text_.find(';', at_);
                entry.broken = !trim(text_.substr(at_ + 1, end - at_ - 1)).empty();
                at_ = end;
            } else if (c == ':') {
                quote(part, c);  // "Acme: News <news@acme.example>" is plain enough
            } else if (entry.angle) {
                entry.broken = entry.broken || (c != ' ' && c != '\t');
            } else {
                part += c;
            }
            if (comments == 0 && c != ')') entry.bare += text_.substr(taken, at_ + 1 - taken);
        }
        ++at_;
        entry.broken = entry.broken || quoted || comments > 0 || inside;
        return entry;
    }

  private:
    /// A character of a quoted string is data.
    static void quote(std::string& part, char c) {
        if (specials.find(c) != std::string_view::npos || c == '=') part += field_mark;
        part += c;
    }

    std::string_view text_;
    size_t at_ = 0;
};

/// The address as it may stand in a header: its domain in A-labels, so that only the local part may
/// be UTF-8.
std::string header_address(std::string_view address, std::string_view utf8_address) {
    if (is_ascii(address)) return std::string(address);
    auto parsed = parse_address(address);
    if (!parsed || (parsed->utf8 && address != utf8_address)) return {};
    return parsed->local + '@' + parsed->routing_domain;
}

bool put_mailboxes(FieldWriter& writer, std::string_view value, std::string_view utf8_address) {
    MailboxList list = parse_mailboxes(value);
    if (list.mailboxes.empty() && !list.group.empty()) {
        put_phrase(writer, " ", list.group);
        writer.put(":;");
        return true;
    }
    bool any = false;
    for (const Mailbox& mailbox : list.mailboxes) {
        std::string address = header_address(mailbox.address, utf8_address);
        if (address.empty()) continue;
        if (any) writer.put(",");
        any = true;
        if (mailbox.name.empty()) {
            writer.word(" ", address);
            continue;
        }
        put_phrase(writer, " ", mailbox.name);
        writer.word(" ", '<' + address + '>');
    }
    return any;
}

/// Needs neither encoding nor folding.
bool is_plain(std::string_view value) {
    return std::ranges::all_of(value, [](char c) { return c >= 32 && c < 127; });
}

void put_tokens(FieldWriter& writer, std::string_view value) {
    for (const Word& word : split_words(value, Words::unstructured)) {
        std::string token;
        for (char c : without_marks(word.text)) {
            if (is_high(c)) {
                token += '%';
                token += hex[static_cast<unsigned char>(c) >> 4];
                token += hex[static_cast<unsigned char>(c) & 15];
            } else {
                token += c;
            }
        }
        std::string_view blanks = word.blanks.empty() ? " " : bounded(word.blanks);
        // Readers of these fields ignore blanks inside "<…>" (RFC 2369 2), so an endless URL
        // survives a break.
        std::string_view rest = token;
        for (; rest.size() > header_word_octets_max; rest.remove_prefix(header_word_octets_max)) {
            writer.word(blanks, rest.substr(0, header_word_octets_max));
            blanks = " ";
        }
        writer.word(blanks, rest);
    }
}

}  // namespace

bool is_plain_mailbox(std::string_view value) {
    std::string_view address = value;
    if (size_t open = value.find(" <"); open != std::string_view::npos && value.ends_with('>')) {
        bool plain = open > 0 && value[0] != ' ' && value[open - 1] != ' ' &&
                     std::ranges::all_of(value.substr(0, open), [](char c) {
                         return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                                (c >= 'A' && c <= 'Z') || c == ' ';
                     });
        if (!plain) return false;
        address = value.substr(open + 2, value.size() - open - 3);
    }
    // Marks are control characters, which no address has; a quoted local part or a comma takes the
    // long way.
    return is_ascii(address) && !address.starts_with('"') && split_address(address).has_value();
}

FieldKind field_kind(std::string_view name) {
    constexpr std::array<std::string_view, 16> mailboxes = {"From",
                                                            "To",
                                                            "Cc",
                                                            "Bcc",
                                                            "Reply-To",
                                                            "Sender",
                                                            "Resent-From",
                                                            "Resent-To",
                                                            "Resent-Cc",
                                                            "Resent-Bcc",
                                                            "Resent-Sender",
                                                            "Resent-Reply-To",
                                                            "Disposition-Notification-To",
                                                            "Return-Receipt-To",
                                                            "Errors-To",
                                                            "Mail-Followup-To"};
    constexpr std::array<std::string_view, 12> tokens = {
        "Date",         "Message-ID",        "In-Reply-To",    "References",
        "MIME-Version", "Received",          "Return-Path",    "Auto-Submitted",
        "Resent-Date",  "Resent-Message-ID", "DKIM-Signature", "Feedback-ID"};
    auto is = [&](std::string_view known) { return same_word(name, known); };
    if (std::ranges::any_of(mailboxes, is)) return FieldKind::mailboxes;
    if (std::ranges::any_of(tokens, is) || same_word(name.substr(0, 5), "List-") ||
        same_word(name.substr(0, 8), "Content-") || same_word(name.substr(0, 4), "ARC-"))
        return FieldKind::tokens;
    return FieldKind::text;
}

void append_field_value(std::string& out, std::string_view value, FieldKind kind) {
    const auto plain = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               c == '@' || c == '.' || c == '-';
    };
    if (std::ranges::all_of(value, plain)) {
        out += value;  // most addresses, ids and names of one word
        return;
    }
    std::string cleaned;
    if (!is_utf8(value)) value = cleaned = clean_utf8(value);
    for (size_t i = 0; i < value.size(); ++i) {
        char c = value[i];
        if (is_control(c)) continue;
        if (kind == FieldKind::tokens) {
            if (c == ' ' || c == '\t' || c == '<' || c == '>' || c == '"' || c == '\\') {
                out += '%';
                out += hex[static_cast<unsigned char>(c) >> 4];
                out += hex[static_cast<unsigned char>(c) & 15];
                continue;
            }
        } else if (c == '=' || (kind == FieldKind::mailboxes && c != '@' && c != '.' &&
                                specials.find(c) != std::string_view::npos)) {
            // Every '=' of a value is marked, not only "=?": the '?' may come from the text behind
            // the value.
            out += field_mark;
        }
        out += c;
    }
}

void append_field_text(std::string& out, std::string_view text, FieldKind kind) {
    const auto plain = [](char c) { return c != '=' && !is_control(c); };
    if (std::ranges::all_of(text, plain)) {
        out += text;
        return;
    }
    for (size_t i = 0; i < text.size(); ++i) {
        if (is_control(text[i])) continue;
        // At the end of a text the '?' may come from the value behind it.
        if (kind != FieldKind::tokens && text[i] == '=' &&
            (i + 1 == text.size() || text[i + 1] == '?'))
            out += field_mark;
        out += text[i];
    }
}

void append_field_raw(std::string& out, std::string_view text) {
    for (char c : is_utf8(text) ? std::string(text) : clean_utf8(text))
        if (!is_control(c)) out += c;
}

MailboxList parse_mailboxes(std::string_view value) {
    MailboxList list;
    MailboxScanner scanner(value);
    while (!scanner.done()) {
        auto entry = scanner.next();
        std::string_view phrase = trim(entry.phrase);
        if (phrase.empty() && !entry.angle && !entry.group) continue;
        auto problem = [&](std::string sentence) {
            if (list.problem.empty()) list.problem = std::move(sentence);
        };
        if (entry.group) {
            if (entry.broken)
                problem("a group with members is not taken; list the addresses");
            else if (list.group.empty())
                list.group = phrase;
            continue;
        }
        if (entry.broken) {
            problem("brackets, quotes or comments are not closed");
            continue;
        }
        std::string address = without_marks(trim(entry.angle ? entry.address : entry.bare));
        if (auto form = split_address(address); !form) {
            problem(form.error());
            continue;
        }
        list.mailboxes.push_back({entry.angle ? std::string(phrase) : std::string(), address});
    }
    return list;
}

void append_field(std::string& out, std::string_view name, FieldKind kind, std::string_view value,
                  std::string_view utf8_address) {
    const bool fits = name.size() + 2 + value.size() <= line_octets_aim;
    if (fits && (kind == FieldKind::mailboxes ? is_plain_mailbox(value) : is_plain(value))) {
        std::string_view shown = trim(value);
        if (!shown.empty()) out.append(name).append(": ").append(shown).append("\r\n");
        return;
    }
    size_t start = out.size();
    FieldWriter writer(out, name);
    bool any = true;
    switch (kind) {
        case FieldKind::text: {
            any = value.find_first_not_of(" \t") != std::string_view::npos;
            put_words(writer, " ", value, Words::unstructured);
            break;
        }
        case FieldKind::mailboxes:
            any = put_mailboxes(writer, value, utf8_address);
            break;
        case FieldKind::tokens: {
            any = value.find_first_not_of(" \t") != std::string_view::npos;
            put_tokens(writer, value);
            break;
        }
    }
    if (any)
        writer.end();
    else
        out.resize(start);
}

}  // namespace engine
