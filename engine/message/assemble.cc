#include "engine/message/assemble.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "engine/message/encode.h"
#include "engine/message/headers.h"
#include "engine/message/limits.h"
#include "engine/message/mime.h"
#include "storage/ids.h"

namespace engine {
namespace {

/// "{{#if name}}{{name}} <{{to}}>{{else}}{{to}}{{/if}}": the To of nearly every mail.
constexpr std::array<Piece, 8> default_to = {{{.kind = Piece::Kind::if_begin, .text = "name"},
                                              {.kind = Piece::Kind::value, .text = "name"},
                                              {.kind = Piece::Kind::text, .text = " <"},
                                              {.kind = Piece::Kind::value, .text = "to"},
                                              {.kind = Piece::Kind::text, .text = ">"},
                                              {.kind = Piece::Kind::if_else},
                                              {.kind = Piece::Kind::value, .text = "to"},
                                              {.kind = Piece::Kind::if_end}}};

struct Field {
    std::string_view name;
    std::vector<Piece> pieces;
};

bool is_dynamic(const std::vector<Piece>& pieces) {
    return std::ranges::any_of(pieces, [](const Piece& p) { return p.kind != Piece::Kind::text; });
}

/// What a field of mailboxes says when every condition is `truth` and every value `sample`.
std::string sample_of(const std::vector<Piece>& pieces, bool truth, std::string_view sample) {
    std::string text;
    std::vector<bool> shown = {true};
    for (const Piece& piece : pieces) {
        switch (piece.kind) {
            case Piece::Kind::text:
                if (shown.back()) append_field_text(text, piece.text, FieldKind::mailboxes);
                break;
            case Piece::Kind::value:
                if (shown.back()) append_field_value(text, sample, FieldKind::mailboxes);
                break;
            case Piece::Kind::if_begin:
                shown.push_back(shown.back() && truth);
                break;
            case Piece::Kind::if_else:
                shown.back() = shown[shown.size() - 2] && !truth;
                break;
            case Piece::Kind::if_end:
                shown.pop_back();
                break;
        }
    }
    return text;
}

class Assembly {
  public:
    Assembly(const MailParts& parts, const Origin& origin) : parts_(parts), origin_(origin) {
        constexpr size_t own_fields = 4;
        fields_.reserve(own_fields + parts.headers.size());
    }

    std::expected<Program, Problems> run() {
        check_size();
        if (!problems_.empty()) return std::unexpected(std::move(problems_));
        own_fields();
        further_fields();
        check_attachments();
        MimePart body = bodies();
        if (problems_.size() > problems_max) problems_.resize(problems_max);
        if (!problems_.empty()) return std::unexpected(std::move(problems_));
        return write(body);
    }

  private:
    void wrong(std::string_view code, std::string_view field, std::string message,
               std::string hint) {
        problems_.push_back(
            {std::string(code), std::move(message), std::string(field), std::move(hint)});
    }

    void add_all(const Problems& more) {
        problems_.insert(problems_.end(), more.begin(), more.end());
    }

    void check_size() {
        size_t header = parts_.from.size() + parts_.reply_to.size() + parts_.subject.size();
        if (parts_.to) header += parts_.to->size();
        for (const auto& [name, value] : parts_.headers) header += name.size() + value.size() + 4;
        if (header > header_block_bytes_max)
            wrong("content.header_too_large", "content.headers",
                  fmt::format("the header has {} octets, more than {}", header,
                              header_block_bytes_max),
                  "shorten the header fields");
        if (parts_.headers.size() > header_fields_max)
            wrong("content.header_too_large", "content.headers",
                  fmt::format("more than {} header fields", header_fields_max), "send fewer");
        if (parts_.attachments.size() > attachments_max)
            wrong("content.too_many_attachments", "content.attachments",
                  fmt::format("more than {} attachments", attachments_max), "send fewer");
        size_t bytes = header + texts_size();
        for (const auto& attachment : parts_.attachments)
            bytes += attachment.bytes.size() / 57 * 78 + 1024;
        if (bytes > content_bytes_max)
            wrong("content.too_large", "content",
                  fmt::format("the mail has {} octets once encoded, more than {}", bytes,
                              content_bytes_max),
                  "send smaller attachments, or links to them");
    }

    size_t texts_size() const {
        return (parts_.text ? parts_.text->size() : 0) + (parts_.html ? parts_.html->size() : 0);
    }

    /// A template for a field; empty when something was wrong with it.
    std::vector<Piece> header_template(std::string_view text, std::string_view field) {
        if (has_line_end_or_nul(text)) {
            wrong("content.header_injection", field, "a header value holds CR, LF or NUL",
                  "send the value as one line; long lines are folded for you");
            return {};
        }
        if (!is_utf8(text)) {
            wrong("content.not_utf8", field, "the value is not UTF-8", "send UTF-8");
            return {};
        }
        auto pieces = parse_template(text, field);
        if (!pieces) {
            add_all(pieces.error());
            return {};
        }
        return std::move(*pieces);
    }

    void add(std::string_view name, std::string_view text, std::string_view field) {
        std::vector<Piece> pieces = header_template(text, field);
        if (pieces.empty()) return;
        const FieldKind kind = field_kind(name);
        if (kind == FieldKind::mailboxes && (is_dynamic(pieces) || !is_plain_mailbox(text)))
            check_mailboxes(pieces, field);
        if (kind == FieldKind::tokens && longest_literal(pieces) > header_word_octets_max)
            wrong("content.header_too_long", field,
                  fmt::format("more than {} octets without a blank, where no line may be folded",
                              header_word_octets_max),
                  "shorten it, or put a blank in");
        fields_.push_back({name, std::move(pieces)});
    }

    static size_t longest_literal(const std::vector<Piece>& pieces) {
        size_t longest = 0;
        for (const Piece& piece : pieces)
            if (piece.kind == Piece::Kind::text)
                longest = std::max(longest, longest_word(piece.text));
        return longest;
    }

    void check_mailboxes(const std::vector<Piece>& pieces, std::string_view field) {
        const bool dynamic = is_dynamic(pieces);
        for (bool truth : {true, false}) {
            if (!truth && !dynamic) return;  // it would be the same again
            // A placeholder may stand for a name, for an address or for a part of one.
            MailboxList list = parse_mailboxes(sample_of(pieces, truth, "x"));
            if (!list.problem.empty() && dynamic)
                list = parse_mailboxes(sample_of(pieces, truth, "x@example.invalid"));
            bool nothing = list.mailboxes.empty() && list.group.empty();
            if (list.problem.empty() && (!nothing || dynamic)) continue;
            wrong("content.address_invalid", field,
                  list.problem.empty() ? "no address stands in it"
                                       : "not a list of mailboxes: " + list.problem,
                  "write it as Name <user@example.com>; quote a name that holds a comma");
            return;
        }
    }

    void own_fields() {
        if (parts_.from.find_first_not_of(" \t") == std::string::npos)
            wrong("content.from_missing", "content.from", "a mail needs a From",
                  "set content.from, as in \"News <news@example.com>\"");
        add("From", parts_.from, "content.from");
        if (parts_.to)
            add("To", *parts_.to, "content.to");
        else
            fields_.push_back({"To", {default_to.begin(), default_to.end()}});
        add("Reply-To", parts_.reply_to, "content.reply_to");
        add("Subject", parts_.subject, "content.subject");
    }

    void further_fields() {
        std::set<std::string, std::less<>> seen;
        for (size_t i = 0; i < parts_.headers.size(); ++i) {
            const auto& [name, value] = parts_.headers[i];
            // A bad name may hold anything: the path must not carry it on.
            if (!is_field_name(name)) {
                wrong("content.header_name", "content.headers",
                      fmt::format("field {} of them has a name that no field can have", i + 1),
                      fmt::format("names are 1 to {} printable ASCII characters without ':' and "
                                  "blanks",
                                  header_name_octets_max));
                continue;
            }
            std::string path = "content.headers." + name;
            if (!allowed(name, path)) continue;
            std::string lower = name;
            std::ranges::transform(lower, lower.begin(), [](char c) {
                return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
            });
            if (!seen.insert(lower).second && is_single_field(name)) {
                wrong("content.header_duplicate", path,
                      fmt::format("{} may stand once in a mail", name), "keep one of them");
                continue;
            }
            add(name, value, path);
        }
        has_date_ = seen.contains("date");
        has_message_id_ = seen.contains("message-id");
    }

    bool allowed(std::string_view name, std::string_view path) {
        constexpr std::array<std::pair<std::string_view, std::string_view>, 4> own = {
            {{"From", "content.from"},
             {"To", "content.to"},
             {"Reply-To", "content.reply_to"},
             {"Subject", "content.subject"}}};
        for (auto [known, place] : own) {
            if (!same_name(name, known)) continue;
            wrong("content.header_duplicate", path, fmt::format("{} has a place of its own", known),
                  fmt::format("set {} instead", place));
            return false;
        }
        if (same_name(name, "MIME-Version") || same_name(name.substr(0, 8), "Content-")) {
            wrong("content.header_duplicate", path,
                  fmt::format("{} is written by the assembly of the mail", name),
                  "leave it out, or send the whole mail as content.raw");
            return false;
        }
        if (same_name(name, "Bcc") || same_name(name, "Return-Path")) {
            wrong("content.header_forbidden", path,
                  fmt::format("{} must not be in a mail that is sent", name),
                  same_name(name, "Bcc") ? "list the address in recipients"
                                         : "set \"from\" of the job");
            return false;
        }
        return true;
    }

    void check_attachments() {
        for (size_t i = 0; i < parts_.attachments.size(); ++i) {
            const auto& attachment = parts_.attachments[i];
            std::string path = fmt::format("content.attachments[{}]", i);
            std::string_view type = attachment.type;
            if (!type.empty() && !is_media_type(type))
                wrong("content.attachment_type", path + ".type", "no media type",
                      "write it as application/pdf, or leave it out");
            else if (same_name(type.substr(0, 10), "multipart/") ||
                     same_name(type.substr(0, 8), "message/"))
                wrong("content.attachment_type", path + ".type",
                      "multipart and message types cannot be attached in base64",
                      "use application/octet-stream, or send the whole mail as content.raw");
            bool control = std::ranges::any_of(attachment.filename, [](char c) {
                return static_cast<unsigned char>(c) < 32 || c == 127;
            });
            if (control || attachment.filename.size() > 255 || !is_utf8(attachment.filename))
                wrong("content.attachment_filename", path + ".filename",
                      "a file name is up to 255 octets of UTF-8 without control characters",
                      "rename the file");
            if (!attachment.content_id.empty() && !is_content_id(attachment.content_id))
                wrong("content.attachment_content_id", path + ".content_id",
                      "a content id is printable ASCII without blanks, quotes and brackets",
                      "use something like \"logo@example.com\", and cid:logo@example.com in the "
                      "html");
        }
    }

    std::vector<Piece> body_template(std::string_view text, std::string_view field) {
        if (!is_utf8(text) || text.find('\0') != std::string_view::npos) {
            wrong("content.not_utf8", field, "the text is not UTF-8, or holds NUL", "send UTF-8");
            return {};
        }
        auto pieces = parse_template(text, field);
        if (pieces) return std::move(*pieces);
        add_all(pieces.error());
        return {};
    }

    /// alternative(text, related(html, inline images)), all of it in mixed() with the attachments.
    MimePart bodies() {
        if (!parts_.text && !parts_.html) {
            wrong("content.body_missing", "content", "a mail needs content.text or content.html",
                  "set one of them, or both");
            return {};
        }
        std::vector<MimePart> related, alternative, mixed;
        if (parts_.text)
            alternative.push_back(
                text_part("plain", *parts_.text, body_template(*parts_.text, "content.text")));
        if (parts_.html)
            related.push_back(
                text_part("html", *parts_.html, body_template(*parts_.html, "content.html")));
        for (const auto& a : parts_.attachments) {
            auto& place = parts_.html && !a.content_id.empty() ? related : mixed;
            place.push_back(attachment_part(a.type, a.filename, a.content_id, a.bytes));
        }
        if (!related.empty()) alternative.push_back(multipart("related", std::move(related)));
        mixed.insert(mixed.begin(), multipart("alternative", std::move(alternative)));
        return multipart("mixed", std::move(mixed));
    }

    /// About how many octets the program will have, seldom too few.
    size_t written_size(const MimePart& body) const {
        constexpr size_t own_lines = 128, a_field = 16;  // Date, Message-ID, MIME-Version
        size_t bytes = own_lines + origin_.host.size() + body_size(body);
        for (const Field& field : fields_) {
            bytes += field.name.size() + a_field;
            for (const Piece& piece : field.pieces)
                bytes += piece.text.size() + piece.fallback.size();
        }
        return bytes;
    }

    static size_t body_size(const MimePart& part) {
        constexpr size_t boundary_line = 64;
        size_t bytes = part.header.size() + part.body.size() + 8;
        if (!part.parts.empty()) bytes += (part.parts.size() + 3) * boundary_line;
        for (const Piece& piece : part.pieces)
            bytes += piece.text.size() + piece.text.size() / 16 + piece.fallback.size();
        for (const MimePart& each : part.parts) bytes += body_size(each);
        return bytes;
    }

    static bool is_dynamic_part(const MimePart& part) {
        return is_dynamic(part.pieces) || std::ranges::any_of(part.parts, is_dynamic_part);
    }

    std::expected<Program, Problems> write(const MimePart& body) {
        ProgramBuilder out;
        out.reserve(written_size(body));
        for (const Field& field : fields_)
            out.field(field.name, field.pieces, ProgramBuilder::FieldText::utf8);
        if (!has_date_) out.literal("Date: " + date_text(origin_.time) + "\r\n");
        if (!has_message_id_) {
            // One id for the job would do only when all its mails are one and the same message.
            std::string host = message_id_host(origin_.host);
            if (out.constant() && !is_dynamic_part(body)) {
                out.literal(
                    fmt::format("Message-ID: <{}@{}>\r\n", storage::to_text(origin_.job), host));
            } else {
                const std::string end = "@" + host + ">";
                const std::array<Piece, 3> id = {{{.kind = Piece::Kind::text, .text = "<"},
                                                  {.kind = Piece::Kind::value, .text = "id"},
                                                  {.kind = Piece::Kind::text, .text = end}}};
                out.field("Message-ID", id, ProgramBuilder::FieldText::utf8);
            }
        }
        write_mime(out, body, origin_.job);
        return std::move(out).finish();
    }

    const MailParts& parts_;
    const Origin& origin_;
    Problems problems_;
    std::vector<Field> fields_;
    bool has_date_ = false, has_message_id_ = false;
};

}  // namespace

std::expected<Program, Problems> assemble_program(const MailParts& parts, const Origin& origin) {
    return Assembly(parts, origin).run();
}

}  // namespace engine
