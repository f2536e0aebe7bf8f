#include "engine/message/raw.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "engine/message/encode.h"
#include "engine/message/entity.h"
#include "engine/message/headers.h"
#include "engine/message/limits.h"
#include "storage/ids.h"

namespace engine {
namespace {

constexpr std::string_view path = "content.raw";

size_t line_of(std::string_view text, size_t offset) {
    return static_cast<size_t>(std::ranges::count(text.substr(0, offset), '\n')) + 1;
}

/// The whole text with CRLF line ends and one at its end.
std::expected<std::string, Problem> with_crlf(std::string_view raw) {
    auto wrong = [&](std::string_view code, size_t at, std::string_view what, std::string hint) {
        return std::unexpected(Problem{std::string(code),
                                       fmt::format("line {}: {}", line_of(raw, at), what),
                                       std::string(path), std::move(hint)});
    };
    if (size_t nul = raw.find('\0'); nul != std::string_view::npos)
        return wrong("content.nul", nul, "holds NUL", "encode binary parts in base64");
    bool only_lf = raw.find('\r') == std::string_view::npos;
    std::string text;
    text.reserve(raw.size() + (only_lf ? raw.size() / 32 : 0) + 2);
    size_t lf = raw.find('\n'), cr = raw.find('\r');  // the next ones
    for (size_t start = 0; start < raw.size();) {
        if (lf < start) lf = raw.find('\n', start);
        if (cr < start) cr = raw.find('\r', start);
        size_t end = std::min({lf, cr, raw.size()});
        if (end - start > line_octets_max)
            return wrong("content.line_too_long", start,
                         fmt::format("{} octets, more than the {} that SMTP allows", end - start,
                                     line_octets_max),
                         "encode the part as quoted-printable or base64, fold the header field");
        text.append(raw, start, end - start);
        if (end < raw.size() && !only_lf) {
            if (raw[end] == '\n')
                return wrong("content.bare_lf", end, "a bare LF in a message that has CR too",
                             "end every line with CRLF");
            if (end + 1 == raw.size() || raw[end + 1] != '\n')
                return wrong("content.bare_cr", end, "a bare CR", "end every line with CRLF");
            ++end;
        }
        text += "\r\n";
        start = end + 1;
    }
    return text;
}

class RawCompiler {
  public:
    RawCompiler(std::string_view text, Templating templating, const Origin& origin)
        : text_(text), templating_(templating), origin_(origin) {}

    std::expected<Program, Problems> run() {
        Entity top = split_entity(text_);
        check_header(top);
        if (!problems_.empty()) return std::unexpected(std::move(problems_));
        constexpr size_t own_fields = 160;  // Date, Message-ID
        out_.reserve(text_.size() + own_fields);
        entity(top, 0);
        if (problems_.size() > problems_max) problems_.resize(problems_max);
        if (!problems_.empty()) return std::unexpected(std::move(problems_));
        return std::move(out_).finish();
    }

  private:
    void wrong(std::string_view code, size_t line, std::string_view message, std::string hint) {
        problems_.push_back({std::string(code), fmt::format("line {}: {}", line, message),
                             std::string(path), std::move(hint)});
    }

    void check_header(const Entity& top) {
        size_t end = static_cast<size_t>(top.body.data() - text_.data());
        if (top.fields.empty() || !top.separated) {
            bool mbox = text_.starts_with("From ");
            size_t line = top.separated || top.fields.empty() ? 1 : line_of(text_, end);
            wrong("content.raw_header", line,
                  top.body.empty() ? "the message ends before the empty line that ends its header"
                                   : "neither a header field nor the empty line before the body",
                  mbox ? "take out the mbox line that starts with \"From \""
                       : "a message is \"Name: value\" lines, an empty line, and the body");
            return;
        }
        if (end > header_block_bytes_max || top.fields.size() > header_fields_max)
            wrong("content.header_too_large", 1,
                  fmt::format("the header has more than {} octets or {} fields",
                              header_block_bytes_max, header_fields_max),
                  "shorten it");
        std::set<std::string> seen;
        for (const HeaderField& field : top.fields) {
            if (!seen.insert(lower_case(field.name)).second && is_single_field(field.name))
                wrong("content.header_duplicate", field.line,
                      fmt::format("a second {} field", field.name), "keep one of them");
        }
        if (!seen.contains("from"))
            wrong("content.from_missing", 1, "the message has no From field", "add one");
        has_date_ = seen.contains("date");
        has_message_id_ = seen.contains("message-id");
    }

    bool templated(std::string_view text) const {
        return templating_ == Templating::on && has_placeholders(text);
    }

    /// Header, empty line and body. `depth` 0 is the message itself.
    void entity(const Entity& part, size_t depth) {
        if (problems_.size() >= problems_max) return;
        PartType type = type_of(part);
        if (++parts_ > mime_parts_max || depth > mime_nesting_max) {
            if (parts_ == mime_parts_max + 1 || depth == mime_nesting_max + 1)
                wrong("content.mime_too_deep", line_at(part.body),
                      fmt::format("more than {} parts, or {} inside each other", mime_parts_max,
                                  mime_nesting_max),
                      "send a simpler mail");
            return;
        }
        bool text = type.type.starts_with("text/") && !type.attachment;
        std::string decoded;
        if (templating_ == Templating::on && text && decode(part, type, decoded)) {
            header(part, depth, &type);
            text_body(part, type, decoded);
            return;
        }
        header(part, depth, nullptr);
        if (templating_ == Templating::on && type.type.starts_with("multipart/") &&
            !type.boundary.empty())
            parts(part.body, type.boundary, depth);
        else
            out_.literal(part.body);
    }

    size_t line_at(std::string_view part) const {
        return line_of(text_, static_cast<size_t>(part.data() - text_.data()));
    }

    /// True when the part's text holds placeholders, and so is compiled.
    bool decode(const Entity& part, const PartType& type, std::string& decoded) {
        if (type.encoding == "base64") {
            auto bytes = decode_base64(part.body);
            if (has_placeholders(part.body) || (bytes && has_placeholders(*bytes)))
                wrong("content.template_base64", line_at(part.body),
                      "placeholders in a part that is encoded in base64",
                      "send the part as quoted-printable or 8bit");
            return false;
        }
        bool quoted = type.encoding == "quoted-printable";
        decoded = quoted ? decode_quoted_printable(part.body) : std::string(part.body);
        if (!has_placeholders(decoded)) return false;
        bool known = quoted || type.encoding == "7bit" || type.encoding == "8bit" ||
                     type.encoding == "binary";
        if (!known)
            wrong("content.template_encoding", line_at(part.body),
                  "placeholders in a part of an unknown Content-Transfer-Encoding",
                  "send the part as quoted-printable or 8bit");
        bool utf8 = type.charset.empty() || type.charset == "utf-8" || type.charset == "us-ascii" ||
                    type.charset == "utf8" || type.charset == "ascii";
        if (known && (!utf8 || !is_utf8(decoded)))
            wrong("content.template_charset", line_at(part.body),
                  "placeholders in a part that is not UTF-8, which all values are",
                  "send the part with charset=utf-8");
        return true;
    }

    /// `compiled`: the part's body becomes quoted-printable, and the header has to say so.
    void header(const Entity& part, size_t depth, const PartType* compiled) {
        for (const HeaderField& field : part.fields) {
            if (compiled != nullptr && same_name(field.name, "Content-Transfer-Encoding")) continue;
            if (compiled != nullptr && same_name(field.name, "Content-Type") &&
                compiled->charset != "utf-8")
                continue;
            // They must not leave (RFC 5322 3.6.3, RFC 5321 4.4).
            if (depth == 0 &&
                (same_name(field.name, "Bcc") || same_name(field.name, "Return-Path")))
                continue;
            if (depth == 0 && templated(field.value))
                header_template(field);
            else
                out_.literal(field.whole);
        }
        if (compiled != nullptr) {
            if (compiled->charset != "utf-8") {
                // Its other parameters speak of the old form (format=flowed, say) and go with it.
                out_.literal(fmt::format("Content-Type: {}; charset=utf-8\r\n", compiled->type));
            }
            out_.literal("Content-Transfer-Encoding: quoted-printable\r\n");
        }
        if (depth == 0) added_fields(part, compiled != nullptr);
        // A part whose body begins without an empty line is broken, but it is the submitter's.
        if (part.separated) out_.literal("\r\n");
    }

    void header_template(const HeaderField& field) {
        if (same_name(field.name.substr(0, 8), "Content-") || same_name(field.name, "MIME-Version"))
            return wrong("content.template_header", field.line,
                         fmt::format("placeholders in {}", field.name),
                         "the structure of a mail is the same for all its recipients");
        std::string value(trim(unfold(field.value)));
        auto pieces = parse_template(value, path);
        if (pieces) return out_.field(field.name, *pieces, ProgramBuilder::FieldText::raw);
        for (const Problem& problem : pieces.error())
            wrong(problem.code, field.line,
                  fmt::format("field {}: {}", field.name, problem.message), problem.hint);
    }

    void added_fields(const Entity& top, bool compiled) {
        if (!has_date_) out_.literal("Date: " + date_text(origin_.time) + "\r\n");
        bool mime = std::ranges::any_of(top.fields, [](const HeaderField& field) {
            return same_name(field.name, "MIME-Version");
        });
        if (compiled && !mime) out_.literal("MIME-Version: 1.0\r\n");
        if (has_message_id_) return;
        std::string host = message_id_host(origin_.host);
        // Without templating all recipients get one message, which then has one id.
        if (templating_ == Templating::off) {
            out_.literal(
                fmt::format("Message-ID: <{}@{}>\r\n", storage::to_text(origin_.job), host));
        } else {
            std::string id = fmt::format("<{{{{id}}}}@{}>", host);
            out_.field("Message-ID", *parse_template(id, ""), ProgramBuilder::FieldText::utf8);
        }
    }

    void text_body(const Entity& part, const PartType& type, const std::string& decoded) {
        auto pieces = parse_template(decoded, path);
        if (!pieces) {
            size_t line = line_at(part.body);
            for (const Problem& problem : pieces.error())
                wrong(problem.code, line,
                      fmt::format("in the text that starts here, {}", problem.message),
                      problem.hint);
            return;
        }
        out_.body(*pieces, type.type == "text/html" ? Op::Escape::html : Op::Escape::none);
        bool ends_line =
            pieces->back().kind == Piece::Kind::text && pieces->back().text.ends_with('\n');
        bool ends_message = part.body.data() + part.body.size() == text_.data() + text_.size();
        if (ends_message && !ends_line) out_.literal("\r\n");
    }

    /// Its parts; what is around them goes as it is.
    void parts(std::string_view body, std::string_view boundary, size_t depth) {
        for (const BodyPiece& piece : split_multipart(body, boundary)) {
            if (piece.kind == BodyPiece::Kind::part)
                entity(split_entity(piece.text), depth + 1);
            else
                out_.literal(piece.text);
        }
    }

    std::string_view text_;
    Templating templating_;
    const Origin& origin_;
    ProgramBuilder out_;
    Problems problems_;
    size_t parts_ = 0;
    bool has_date_ = false, has_message_id_ = false;
};

}  // namespace

std::expected<Program, Problems> compile_raw(std::string_view raw, Templating templating,
                                             const Origin& origin) {
    if (raw.size() > content_bytes_max)
        return std::unexpected(Problems{
            {"content.too_large",
             fmt::format("the message has {} octets, more than {}", raw.size(), content_bytes_max),
             std::string(path), "send smaller attachments"}});
    auto text = with_crlf(raw);
    if (!text) return std::unexpected(Problems{text.error()});
    return RawCompiler(*text, templating, origin).run();
}

}  // namespace engine
