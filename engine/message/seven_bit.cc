#include "engine/message/seven_bit.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/message/encode.h"
#include "engine/message/entity.h"
#include "engine/message/field.h"
#include "engine/message/headers.h"
#include "engine/message/limits.h"
#include "engine/message/mime.h"

namespace engine {
namespace {

constexpr size_t quoted_printable_columns = 75;

bool is_identity(std::string_view encoding) {
    return encoding == "7bit" || encoding == "8bit" || encoding == "binary" || encoding.empty();
}

/// Writes what came out so far; stops at the first thing that cannot be changed.
class Converter {
  public:
    std::expected<std::string, std::string> message(std::string_view text) {
        out_.reserve(text.size() + text.size() / 8);
        entity(text, Place::top, "text/plain", 0);
        return result();
    }
    std::expected<std::string, std::string> header_of(std::string_view text) {
        const Entity top = split_entity(text);
        for (const HeaderField& part : top.fields) field(part);
        if (top.separated) out_ += "\r\n";
        out_ += top.body;
        return result();
    }

  private:
    enum class Place : uint8_t { top, part };

    std::expected<std::string, std::string> result() {
        if (!problem_.empty()) return std::unexpected(std::move(problem_));
        // A multipart that nobody closed: its last part is the mail's end, and left its line end to
        // a delimiter that never came.
        if (!out_.ends_with("\r\n")) out_ += "\r\n";
        return std::move(out_);
    }
    void fail(std::string why) {
        if (problem_.empty()) problem_ = std::move(why);
    }

    /// A message (at the top, or inside of message/rfc822) or a part of a multipart.
    void entity(std::string_view text, Place place, std::string_view type_by_default,
                size_t depth) {
        if (!problem_.empty()) return;
        if (is_ascii(text)) {
            out_ += text;
            return;
        }
        if (depth > mime_nesting_max || ++parts_ > mime_parts_max)
            return fail("its parts are too many, or too deep inside each other");
        const Entity part = split_entity(text);
        PartType type = type_of(part);
        const bool typed = has(part, "Content-Type");
        if (!typed) type.type = type_by_default;
        if (type.type.starts_with("multipart/"))
            multipart(part, type, depth);
        else if (type.type == "message/rfc822" || type.type == "message/news")
            enclosed(part, type, depth);
        else
            leaf(part, type, typed, place);
    }

    static bool has(const Entity& part, std::string_view name) {
        return std::ranges::any_of(
            part.fields, [&](const HeaderField& field) { return same_name(field.name, name); });
    }

    /// The header, with another Content-Transfer-Encoding, and the empty line.
    void header(const Entity& part, std::string_view encoding, std::string_view added) {
        for (const HeaderField& each : part.fields)
            if (!same_name(each.name, "Content-Transfer-Encoding")) field(each);
        out_ += added;
        out_ += fmt::format("Content-Transfer-Encoding: {}\r\n\r\n", encoding);
    }

    void multipart(const Entity& part, const PartType& type, size_t depth) {
        if (!is_identity(type.encoding))
            return fail("a multipart in it claims to be encoded, which none may be");
        if (is_ascii(part.body)) {
            for (const HeaderField& each : part.fields) field(each);
            out_ += "\r\n";
            out_ += part.body;
            return;
        }
        if (type.type == "multipart/signed")
            return fail("it holds a signed part (multipart/signed), which a change would spoil");
        if (type.boundary.empty() || !is_ascii(type.boundary))
            return fail("a multipart in it has no proper boundary");
        header(part, "7bit", "");
        const std::string_view inner =
            type.type == "multipart/digest" ? "message/rfc822" : "text/plain";
        for (const BodyPiece& piece : split_multipart(part.body, type.boundary)) {
            if (piece.kind == BodyPiece::Kind::part) {
                entity(piece.text, Place::part, inner, depth + 1);
                continue;
            }
            // What is around the parts is for nobody's eyes.
            for (const char c : piece.text) out_ += static_cast<unsigned char>(c) < 128 ? c : '?';
        }
    }

    void enclosed(const Entity& part, const PartType& type, size_t depth) {
        if (!is_identity(type.encoding))
            return fail("a message inside of it claims to be encoded, which none may be");
        header(part, "7bit", "");
        entity(part.body, Place::top, "text/plain", depth + 1);
    }

    void leaf(const Entity& part, const PartType& type, bool typed, Place place) {
        std::string added;
        if (place == Place::top && !has(part, "MIME-Version")) added += "MIME-Version: 1.0\r\n";
        if (is_ascii(part.body)) {  // only the header has octets above 127
            for (const HeaderField& each : part.fields) field(each);
            if (part.separated || part.fields.empty()) out_ += "\r\n";
            out_ += part.body;
            return;
        }
        if (type.type == "message/partial")
            return fail(
                "it is a fragment of a message (message/partial), which must stay as it is");
        if (!is_identity(type.encoding)) return mend(part, type);
        if (!typed)
            added += fmt::format("Content-Type: text/plain; charset={}\r\n",
                                 is_utf8(part.body) ? "utf-8" : "unknown-8bit");
        // Others than texts may hold line ends that are no line ends.
        const bool text = type.type.starts_with("text/") || type.type.starts_with("message/");
        std::string quoted;
        if (text) append_quoted_printable(quoted, part.body, 0);
        if (text && quoted.size() <= part.body.size() / 57 * 78 + 78) {
            header(part, "quoted-printable", added);
            out_ += quoted;
            return;
        }
        header(part, "base64", added);
        std::string lines = base64_lines(part.body);
        // A part's last line end belongs to the delimiter behind it; a message needs its own.
        if (place == Place::part && lines.ends_with("\r\n")) lines.resize(lines.size() - 2);
        out_ += lines;
    }

    /// A body that claims to be encoded already and yet has octets above 127: decoders pass over
    /// them in base64, and take them for themselves in quoted-printable.
    void mend(const Entity& part, const PartType& type) {
        const bool quoted = type.encoding == "quoted-printable";
        if (!quoted && type.encoding != "base64")
            return fail("a part of it is in an encoding that is not known");
        header(part, type.encoding, "");
        size_t column = 0;
        size_t escaped = 0;  // octets of an "=3D" that are still to come: it must stay whole
        for (const char c : part.body) {
            const bool high = static_cast<unsigned char>(c) > 127;
            if (high && !quoted) continue;
            // What we encode keeps to the columns of quoted-printable; what is there already is
            // left alone until our octets have made its line too long for SMTP.
            const bool full = high ? column + 3 > quoted_printable_columns
                                   : column + 4 > line_octets_max && c != '\r' && c != '\n';
            if (quoted && full && escaped == 0) {
                out_ += "=\r\n";
                column = 0;
            }
            if (high) {
                out_ += fmt::format("={:02X}", static_cast<unsigned char>(c));
                column += 3;
                escaped = 0;
                continue;
            }
            out_ += c;
            column = c == '\n' ? 0 : column + 1;
            escaped = c == '=' ? 2 : escaped > 0 ? escaped - 1 : 0;
        }
    }

    void field(const HeaderField& field) {
        if (is_ascii(field.whole)) {
            out_ += field.whole;
            return;
        }
        const std::string value = unfold(field.value);
        if (!is_utf8(value) || !is_ascii(field.name))
            return fail(fmt::format("its field {} is neither ASCII nor UTF-8", shown(field.name)));
        const FieldKind kind = field_kind(field.name);
        if (same_name(field.name, "Content-Description") || kind == FieldKind::text)
            return written(field, FieldKind::text, value);
        if (kind == FieldKind::mailboxes) {
            std::string marked;
            append_field_raw(marked, value);
            const MailboxList list = parse_mailboxes(marked);
            const bool plain = std::ranges::all_of(
                list.mailboxes, [](const Mailbox& box) { return is_ascii(box.address); });
            if (!plain || !list.problem.empty())
                return fail(fmt::format("its field {} has an address that is not ASCII",
                                        shown(field.name)));
            return written(field, kind, value);
        }
        if (same_name(field.name, "Content-Type") || same_name(field.name, "Content-Disposition"))
            return parameters(field, value);
        fail(fmt::format("its field {} is not ASCII and has no form that is", shown(field.name)));
    }

    static std::string shown(std::string_view name) {
        return is_ascii(name) ? std::string(name) : "of its header";
    }

    void written(const HeaderField& field, FieldKind kind, std::string_view value) {
        std::string marked;
        append_field_raw(marked, trim(value));
        append_field(out_, field.name, kind, marked, {});
    }

    void parameters(const HeaderField& field, std::string_view value) {
        const std::vector<Parameter> all = split_parameters(value);
        const std::string_view first = trim(value.substr(0, value.find(';')));
        if (!is_ascii(first))
            return fail(fmt::format("its field {} is not ASCII", shown(field.name)));
        out_ += fmt::format("{}: {}", field.name, first);
        for (const Parameter& each : all) {
            if (!is_ascii(each.name))
                return fail(fmt::format("its field {} is not ASCII", shown(field.name)));
            if (is_ascii(each.whole))
                out_ += fmt::format(";\r\n {}", trim(each.whole));
            else
                out_ += encoded_parameter(each.name, each.value);
        }
        out_ += "\r\n";
    }

    std::string out_;
    std::string problem_;
    size_t parts_ = 0;
};

}  // namespace

std::expected<std::string, std::string> to_seven_bit(std::string_view message) {
    return Converter().message(message);
}

std::expected<std::string, std::string> to_ascii_header(std::string_view message) {
    return Converter().header_of(message);
}

}  // namespace engine
