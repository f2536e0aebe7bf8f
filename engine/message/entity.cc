#include "engine/message/entity.h"

#include <algorithm>
#include <utility>

#include "engine/message/headers.h"

namespace engine {
namespace {

std::string parameter(std::string_view value, std::string_view name) {
    for (Parameter& each : split_parameters(value))
        if (same_name(each.name, name)) return std::move(each.value);
    return {};
}

}  // namespace

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

std::string lower_case(std::string_view text) {
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

std::vector<Parameter> split_parameters(std::string_view value) {
    std::vector<Parameter> found;
    for (size_t at = value.find(';'); at < value.size();) {
        const size_t begin = ++at;
        Parameter each;
        size_t equals = std::string_view::npos;
        bool in_quotes = false, quoted = false;
        for (; at < value.size() && (in_quotes || value[at] != ';'); ++at) {
            const char c = value[at];
            if (equals == std::string_view::npos) {
                if (c == '=') equals = at;
            } else if (c == '"') {
                if (!std::exchange(quoted, true)) each.value.clear();  // blanks before it
                in_quotes = !in_quotes;
            } else if (in_quotes || !quoted) {
                if (in_quotes && c == '\\' && at + 1 < value.size()) ++at;
                each.value += value[at];
            }
        }
        if (equals == std::string_view::npos) continue;
        each.name = trim(value.substr(begin, equals - begin));
        each.whole = value.substr(begin, at - begin);
        if (!quoted) each.value = trim(each.value);
        found.push_back(std::move(each));
    }
    return found;
}

PartType type_of(const Entity& entity) {
    PartType part;
    for (const HeaderField& field : entity.fields) {
        const bool type = same_name(field.name, "Content-Type");
        const bool encoding = same_name(field.name, "Content-Transfer-Encoding");
        if (!type && !encoding && !same_name(field.name, "Content-Disposition")) continue;
        const std::string value = unfold(field.value);
        std::string first = lower_case(trim(std::string_view(value).substr(0, value.find(';'))));
        if (type) {
            part.type = std::move(first);
            part.charset = lower_case(parameter(value, "charset"));
            part.boundary = parameter(value, "boundary");
        } else if (encoding) {
            part.encoding = std::move(first);
        } else {
            part.attachment = first == "attachment";
        }
    }
    return part;
}

std::vector<BodyPiece> split_multipart(std::string_view body, std::string_view boundary) {
    using enum BodyPiece::Kind;
    constexpr size_t none = std::string_view::npos;
    const std::string delimiter = "--" + std::string(boundary);
    std::vector<BodyPiece> pieces;
    size_t begin = none;  // of the part that is being read
    size_t at = 0;        // where the text that is in no piece yet begins
    for (size_t line = 0; line < body.size();) {
        const size_t end = body.find("\r\n", line);
        const size_t next = end == none ? body.size() : end + 2;
        std::string_view rest = body.substr(line, next - line);
        if (rest.starts_with(delimiter)) {
            rest.remove_prefix(delimiter.size());
            const bool closing = rest.starts_with("--");
            if (closing) rest.remove_prefix(2);
            if (trim(rest).empty()) {
                if (begin != none) {
                    // The line end before a delimiter belongs to the delimiter (RFC 2046 5.1.1).
                    const size_t part_end = line >= begin + 2 ? line - 2 : line;
                    pieces.push_back({part, body.substr(begin, part_end - begin)});
                    at = part_end;
                }
                pieces.push_back({between, body.substr(at, next - at)});
                at = begin = next;
                if (closing) {
                    begin = none;
                    break;
                }
            }
        }
        line = next;
    }
    // Never closed: the last part goes on to the end.
    if (begin != none)
        pieces.push_back({part, body.substr(begin)});
    else
        pieces.push_back({between, body.substr(at)});
    return pieces;
}

}  // namespace engine
