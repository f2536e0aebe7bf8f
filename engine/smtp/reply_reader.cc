#include "engine/smtp/reply_reader.h"

namespace engine {

namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

struct ReplyLine {
    uint16_t code = 0;
    bool last = false;
    std::string_view text;
};

/// "250-text", "250 text", and "250" alone. The first digit is 2 to 5: nothing else is a reply.
std::optional<ReplyLine> parse_line(std::string_view line) {
    if (line.size() < 3 || line[0] < '2' || line[0] > '5') return std::nullopt;
    if (!is_digit(line[1]) || !is_digit(line[2])) return std::nullopt;
    if (line.size() > 3 && line[3] != ' ' && line[3] != '-') return std::nullopt;
    const int code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
    return ReplyLine{.code = static_cast<uint16_t>(code),
                     .last = line.size() == 3 || line[3] == ' ',
                     .text = line.substr(std::min<size_t>(line.size(), 4))};
}

/// One to three digits at the front of `text`; 0: none.
size_t digits_at(std::string_view text) {
    size_t n = 0;
    while (n < 3 && n < text.size() && is_digit(text[n])) ++n;
    return n;
}

/// The enhanced code (RFC 3463) that `text` begins with, if its class is that of the reply.
std::string_view enhanced_at(std::string_view text, uint16_t code) {
    if (text.size() < 5 || text[0] - '0' != code / 100 || text[1] != '.') return {};
    const size_t subject = digits_at(text.substr(2));
    if (subject == 0 || text.size() < 4 + subject || text[2 + subject] != '.') return {};
    const size_t detail = digits_at(text.substr(3 + subject));
    const size_t end = 3 + subject + detail;
    if (detail == 0 || (end < text.size() && text[end] != ' ')) return {};
    return text.substr(0, end);
}

/// A line as an operator may see it: octets that are no text become '?' (log injection).
void append_text(std::string& text, std::string_view line) {
    for (const char c : line) text += (static_cast<unsigned char>(c) < ' ' || c == 0x7f) ? '?' : c;
}

void add_line(Reply& reply, std::string_view text, bool first) {
    if (!first) reply.text += '\n';
    const std::string_view enhanced = enhanced_at(text, reply.code);
    if (reply.enhanced.empty()) reply.enhanced = enhanced;  // not every line has it
    if (!enhanced.empty() && enhanced == reply.enhanced) {
        text.remove_prefix(std::min(text.size(), enhanced.size() + 1));
    }
    append_text(reply.text, text);
}

std::unexpected<Error> not_a_reply(std::string_view line) {
    constexpr size_t shown = 80;
    std::string what = "the host sent a line that is no reply: \"";
    append_text(what, line.substr(0, shown));
    return failure(Errc::protocol, what + '"');
}

}  // namespace

Task<Result<Reply>> ReplyReader::next(Instant deadline) {
    stream_.expires_at(deadline);
    Reply reply;
    size_t bytes = 0;
    for (size_t lines = 0; lines < reply_lines_max && bytes < reply_bytes_max; ++lines) {
        const Line raw = TRY(co_await lines_.next());
        const std::optional<ReplyLine> line = parse_line(raw.text);
        if (!line) co_return not_a_reply(raw.text);
        if (lines > 0 && line->code != reply.code) {
            co_return failure(Errc::protocol, "the host sent a reply with two codes");
        }
        reply.code = line->code;
        add_line(reply, line->text, lines == 0);
        if (line->last) {
            // A connection at rest would keep a receive buffer of 4 KiB for a reply of 20 octets.
            if (!has_more()) stream_.let_go();
            co_return reply;
        }
        bytes += raw.length;
    }
    co_return failure(Errc::protocol, "the host sent a reply of more than " +
                                          std::to_string(reply_lines_max) + " lines or " +
                                          std::to_string(reply_bytes_max) + " octets");
}

std::optional<Reply> ReplyReader::next_here() {
    std::string_view text = lines_.buffered();
    const size_t end = text.find('\n');
    if (end == std::string_view::npos || end > line_kept) return std::nullopt;
    text = text.substr(0, end);
    if (text.ends_with('\r')) text.remove_suffix(1);
    const std::optional<ReplyLine> line = parse_line(text);
    if (!line || !line->last) return std::nullopt;
    Reply reply{.code = line->code};
    add_line(reply, line->text, true);
    lines_.consume(end + 1);
    if (!has_more()) stream_.let_go();
    return reply;
}

}  // namespace engine
