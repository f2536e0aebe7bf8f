#include "engine/message/mime.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/message/encode.h"
#include "engine/message/limits.h"

namespace engine {
namespace {

constexpr size_t plain_line_octets_max = 78;
constexpr size_t parameter_plain_octets_max = 60;
constexpr size_t parameter_part_octets_max = 50;  // of one RFC 2231 continuation

bool is_token_char(char c) {
    return c > 32 && c < 127 &&
           std::string_view("()<>@,;:\\\"/[]?=").find(c) == std::string_view::npos;
}

/// The lines of a text, whichever way they end, CR alone included.
class Lines {
  public:
    explicit Lines(std::string_view text)
        : text_(text), lf_(text.find('\n')), cr_(text.find('\r')) {}

    bool done() const { return at_ == std::string_view::npos; }
    /// Without its end. What stands behind the last end is a line, too, and may be empty.
    std::string_view next() {
        if (lf_ < at_) lf_ = text_.find('\n', at_);
        if (cr_ < at_) cr_ = text_.find('\r', at_);
        const size_t end = std::min(lf_, cr_);
        const std::string_view line = text_.substr(at_, end - at_);
        const size_t length = text_.substr(std::min(end, text_.size())).starts_with("\r\n") ? 2 : 1;
        at_ = end == std::string_view::npos ? end : end + length;
        return line;
    }

  private:
    std::string_view text_;
    size_t at_ = 0;
    size_t lf_, cr_;  // the next ones of their kind
};

/// Printable ASCII, tabs and line ends. Without branches, so that it becomes vector code.
bool is_printable(std::string_view text) {
    unsigned char other = 0;
    for (const char each : text) {
        const auto c = static_cast<unsigned char>(each);
        const bool printable = static_cast<unsigned char>(c - 32) < 95;
        other |= static_cast<unsigned char>(!(printable | (c == '\t') | (c == '\r') | (c == '\n')));
    }
    return other == 0;
}

/// Relays take it as 7bit without a change: short ASCII lines, no blank at an end, no control
/// characters. "=_" is left to boundaries; "From " at the start of a line would get a '>' in
/// mailboxes.
bool is_plain(std::string_view text) {
    if (!is_printable(text)) return false;
    for (Lines lines(text); !lines.done();) {
        const std::string_view line = lines.next();
        if (line.size() > plain_line_octets_max || line.ends_with(' ') || line.ends_with('\t') ||
            line.starts_with("From "))
            return false;
    }
    return !text.contains("=_");
}

std::string with_crlf(std::string_view text) {
    std::string out;
    out.reserve(text.size() + text.size() / 32);
    for (Lines lines(text); !lines.done();) {
        out += lines.next();
        if (!lines.done()) out += "\r\n";
    }
    return out;
}

/// base64 without its last line end: that one belongs to what follows.
std::string base64_body(std::string_view octets) {
    std::string out = base64_lines(octets);
    if (out.ends_with("\r\n")) out.resize(out.size() - 2);
    return out;
}

class MimeWriter {
  public:
    MimeWriter(ProgramBuilder& out, storage::JobId job) : out_(out), job_(job) {}

    void write(const MimePart& part) {
        if (part.parts.empty()) {
            out_.literal(part.header);
            out_.literal("\r\n");
            if (part.pieces.empty())
                out_.literal(part.body);
            else
                out_.body(part.pieces, part.escape);
            return;
        }
        std::string boundary =
            fmt::format("=_{:016x}_{}", static_cast<uint64_t>(job_), boundaries_++);
        out_.literal(fmt::format("Content-Type: multipart/{};\r\n boundary=\"{}\"\r\n\r\n",
                                 part.header, boundary));
        std::string_view before;
        for (const MimePart& child : part.parts) {
            out_.literal(fmt::format("{}--{}\r\n", before, boundary));
            write(child);
            before = "\r\n";
        }
        out_.literal(fmt::format("\r\n--{}--", boundary));
    }

  private:
    ProgramBuilder& out_;
    storage::JobId job_;
    int boundaries_ = 0;
};

bool ends_line(const MimePart& part) {
    if (!part.parts.empty()) return false;
    if (part.pieces.empty()) return part.body.ends_with("\r\n");
    const Piece& last = part.pieces.back();
    return last.kind == Piece::Kind::text &&
           (last.text.ends_with('\n') || last.text.ends_with('\r'));
}

}  // namespace

MimePart text_part(std::string_view subtype, std::string_view text, std::vector<Piece> pieces) {
    auto header = [&](std::string_view encoding) {
        std::string lines;
        lines.reserve(96);
        lines += "Content-Type: text/";
        lines += subtype;
        lines += "; charset=utf-8\r\nContent-Transfer-Encoding: ";
        lines += encoding;
        lines += "\r\n";
        return lines;
    };
    bool dynamic = std::ranges::any_of(
        pieces, [](const Piece& piece) { return piece.kind != Piece::Kind::text; });
    if (dynamic)
        return {.header = header("quoted-printable"),
                .pieces = std::move(pieces),
                .escape = subtype == "html" ? Op::Escape::html : Op::Escape::none};
    if (is_plain(text)) return {.header = header("7bit"), .body = with_crlf(text)};
    std::string quoted;
    quoted.reserve(text.size() + text.size() / 16);
    append_quoted_printable(quoted, text, 0);
    if (quoted.size() <= text.size() / 57 * 78 + 78)
        return {.header = header("quoted-printable"), .body = std::move(quoted)};
    return {.header = header("base64"), .body = base64_body(with_crlf(text))};
}

std::string encoded_parameter(std::string_view name, std::string_view value) {
    const bool plain =
        value.size() <= parameter_plain_octets_max && std::ranges::all_of(value, [](char c) {
            return c >= 32 && c < 127 && c != '"' && c != '\\' && c != '%';
        });
    if (plain) return fmt::format(";\r\n {}=\"{}\"", name, value);
    std::string encoded;
    std::vector<std::string> lines;
    for (size_t at = 0; at < value.size(); ++at) {
        const char c = value[at];
        const bool itself = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                            (c >= 'A' && c <= 'Z') || c == '.' || c == '-' || c == '_';
        encoded += itself ? std::string(1, c) : fmt::format("%{:02X}", static_cast<uint8_t>(c));
        if (encoded.size() >= parameter_part_octets_max || at + 1 == value.size())
            lines.push_back(std::exchange(encoded, {}));
    }
    if (lines.size() == 1) return fmt::format(";\r\n {}*=utf-8''{}", name, lines[0]);
    std::string out;
    for (size_t i = 0; i < lines.size(); ++i)
        out += fmt::format(";\r\n {}*{}*={}{}", name, i, i == 0 ? "utf-8''" : "", lines[i]);
    return out;
}

MimePart attachment_part(std::string_view type, std::string_view filename,
                         std::string_view content_id, std::string_view octets) {
    MimePart part;
    part.header = fmt::format("Content-Type: {}\r\nContent-Transfer-Encoding: base64\r\n",
                              type.empty() ? "application/octet-stream" : type);
    if (!content_id.empty()) part.header += fmt::format("Content-ID: <{}>\r\n", content_id);
    part.header += "Content-Disposition: ";
    part.header += content_id.empty() ? "attachment" : "inline";
    if (!filename.empty()) part.header += encoded_parameter("filename", filename);
    part.header += "\r\n";
    part.body = base64_body(octets);
    return part;
}

MimePart multipart(std::string_view subtype, std::vector<MimePart> parts) {
    if (parts.size() == 1) return std::move(parts.front());
    return {.header = std::string(subtype), .parts = std::move(parts)};
}

void write_mime(ProgramBuilder& out, const MimePart& part, storage::JobId job) {
    out.literal("MIME-Version: 1.0\r\n");
    MimeWriter(out, job).write(part);
    if (!ends_line(part)) out.literal("\r\n");
}

bool is_media_type(std::string_view type) {
    size_t at = 0;
    auto token = [&] {
        size_t start = at;
        while (at < type.size() && is_token_char(type[at])) ++at;
        return at > start;
    };
    auto blanks = [&] {
        while (at < type.size() && (type[at] == ' ' || type[at] == '\t')) ++at;
    };
    auto take = [&](char c) { return at < type.size() && type[at] == c && ++at; };
    if (type.size() > line_octets_max / 2) return false;
    if (!token() || !take('/') || !token()) return false;
    for (blanks(); at < type.size(); blanks()) {
        if (!take(';')) return false;
        blanks();
        if (!token() || !take('=')) return false;
        if (!take('"')) {
            if (!token()) return false;
            continue;
        }
        while (at < type.size() && type[at] != '"') {
            if (type[at] < 32 || type[at] == 127 || type[at] == '\\') return false;
            ++at;
        }
        if (!take('"')) return false;
    }
    return true;
}

bool is_content_id(std::string_view id) {
    return !id.empty() && id.size() <= line_octets_max / 4 && std::ranges::all_of(id, [](char c) {
        return c > 32 && c < 127 && c != '<' && c != '>' && c != '"' && c != '\\';
    });
}

}  // namespace engine
