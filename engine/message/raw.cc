#include "engine/message/raw.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "engine/message/encode.h"
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
    for (size_t start = 0; start < raw.size();) {
        size_t end = std::min(raw.find_first_of("\r\n", start), raw.size());
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

struct RawField {
    std::string_view name, value, whole;  // value: without the ':', folds and last CRLF kept out
    size_t line = 0;
};

struct Entity {
    std::vector<RawField> fields;
    std::string_view body;
    bool separated = false;  // an empty line came before the body
};

/// Lenient: what is no field ends the header; the top of a message is checked by the caller.
Entity split_entity(std::string_view text) {
    Entity entity;
    size_t at = 0, line = 1;
    while (at < text.size() && text.substr(at, 2) != "\r\n") {
        size_t end = at, lines = 0;
        do {
            end = text.find("\r\n", end);
            end = end == std::string_view::npos ? text.size() : end + 2;
            ++lines;
        } while (end < text.size() && (text[end] == ' ' || text[end] == '\t'));
        std::string_view whole = text.substr(at, end - at);
        size_t colon = whole.find(':');
        std::string_view name = whole.substr(0, std::min(colon, whole.size()));
        // RFC 5322 4.5: blanks before the colon, in old mails.
        name = name.substr(0, name.find_last_not_of(" \t") + 1);
        if (colon == std::string_view::npos || !is_field_name(name)) {
            entity.body = text.substr(at);
            return entity;
        }
        std::string_view value = whole.substr(colon + 1);
        if (value.ends_with("\r\n")) value.remove_suffix(2);
        entity.fields.push_back({name, value, whole, line});
        at = end;
        line += lines;
    }
    entity.separated = at < text.size();
    entity.body = text.substr(std::min(at + 2, text.size()));
    return entity;
}

std::string unfold(std::string_view value) {
    std::string out(value);
    std::erase_if(out, [](char c) { return c == '\r' || c == '\n'; });
    return out;
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    return out;
}

std::string_view trim(std::string_view text) {
    size_t start = text.find_first_not_of(" \t\r\n");
    if (start == std::string_view::npos) return {};
    return text.substr(start, text.find_last_not_of(" \t\r\n") - start + 1);
}

/// What decides how a part is treated.
struct PartType {
    std::string type = "text/plain", charset, boundary, encoding = "7bit";
    bool attachment = false;
};

std::string parameter(std::string_view value, std::string_view name) {
    for (size_t at = value.find(';'); at != std::string_view::npos; at = value.find(';', at + 1)) {
        std::string_view rest = trim(value.substr(at + 1));
        size_t equals = rest.find('=');
        if (equals == std::string_view::npos || lower(trim(rest.substr(0, equals))) != name)
            continue;
        rest = trim(rest.substr(equals + 1));
        if (!rest.starts_with('"')) return std::string(trim(rest.substr(0, rest.find(';'))));
        std::string out;
        for (size_t i = 1; i < rest.size() && rest[i] != '"'; ++i) {
            if (rest[i] == '\\' && i + 1 < rest.size()) ++i;
            out += rest[i];
        }
        return out;
    }
    return {};
}

PartType type_of(const Entity& entity) {
    PartType part;
    for (const RawField& field : entity.fields) {
        std::string value = unfold(field.value);
        std::string first = lower(trim(value.substr(0, value.find(';'))));
        if (same_name(field.name, "Content-Type")) {
            part.type = first;
            part.charset = lower(parameter(value, "charset"));
            part.boundary = parameter(value, "boundary");
        } else if (same_name(field.name, "Content-Transfer-Encoding")) {
            part.encoding = first;
        } else if (same_name(field.name, "Content-Disposition")) {
            part.attachment = first == "attachment";
        }
    }
    return part;
}

class RawCompiler {
  public:
    RawCompiler(std::string_view text, Templating templating, const Origin& origin)
        : text_(text), templating_(templating), origin_(origin) {}

    std::expected<Program, Problems> run() {
        Entity top = split_entity(text_);
        check_header(top);
        if (!problems_.empty()) return std::unexpected(std::move(problems_));
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
        for (const RawField& field : top.fields) {
            if (!seen.insert(lower(field.name)).second && is_single_field(field.name))
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
        for (const RawField& field : part.fields) {
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

    void header_template(const RawField& field) {
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
        bool mime = std::ranges::any_of(top.fields, [](const RawField& field) {
            return same_name(field.name, "MIME-Version");
        });
        if (compiled && !mime) out_.literal("MIME-Version: 1.0\r\n");
        if (has_message_id_) return;
        std::string host = message_id_host(origin_.host);
        // Without templating all recipients get one message, which then has one id.
        if (templating_ == Templating::off) {
            out_.literal(fmt::format("Message-ID: <{}@{}>\r\n", storage::to_text(origin_.job), host));
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

    /// The parts between the lines of `boundary`; what is around them goes as it is.
    void parts(std::string_view body, std::string_view boundary, size_t depth) {
        std::string delimiter = "--" + std::string(boundary);
        size_t part_start = std::string_view::npos;
        size_t at = 0;
        for (size_t line = 0; line < body.size();) {
            size_t end = body.find("\r\n", line);
            size_t next = end == std::string_view::npos ? body.size() : end + 2;
            std::string_view rest = body.substr(line, next - line);
            if (rest.starts_with(delimiter))
                rest.remove_prefix(delimiter.size());
            else
                rest = "x";
            bool closing = rest.starts_with("--");
            if (closing) rest.remove_prefix(2);
            if (trim(rest).empty()) {
                if (part_start != std::string_view::npos)
                    entity(split_entity(content(body, part_start, line)), depth + 1);
                size_t from = part_start == std::string_view::npos ? at : before(line, part_start);
                out_.literal(body.substr(from, next - from));
                at = part_start = next;
                if (closing) {
                    part_start = std::string_view::npos;
                    break;
                }
            }
            line = next;
        }
        // Never closed: the last part goes on to the end.
        if (part_start != std::string_view::npos)
            entity(split_entity(body.substr(part_start)), depth + 1);
        else
            out_.literal(body.substr(at));
    }

    /// The line end before a delimiter belongs to the delimiter (RFC 2046 5.1.1).
    static size_t before(size_t delimiter, size_t start) {
        return delimiter >= start + 2 ? delimiter - 2 : delimiter;
    }
    static std::string_view content(std::string_view body, size_t start, size_t delimiter) {
        return body.substr(start, before(delimiter, start) - start);
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
