#include "engine/message/template.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "engine/message/limits.h"

namespace engine {
namespace {

constexpr std::string_view blanks = " \t\r\n";

std::string_view trim(std::string_view text) {
    size_t start = text.find_first_not_of(blanks);
    if (start == std::string_view::npos) return {};
    return text.substr(start, text.find_last_not_of(blanks) - start + 1);
}

bool is_name(std::string_view text) {
    if (text.empty() || text.size() > variable_name_octets_max) return false;
    auto letter = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
               static_cast<unsigned char>(c) >= 0x80;
    };
    return letter(text[0]) && std::ranges::all_of(text, [&](char c) {
               return letter(c) || (c >= '0' && c <= '9') || c == '.' || c == '-';
           });
}

/// What an error may quote of the submitter's text.
std::string excerpt(std::string_view tag) {
    constexpr size_t shown_max = 40;
    std::string shown(tag.substr(0, shown_max));
    for (char& c : shown)
        if (static_cast<unsigned char>(c) < 32 || static_cast<unsigned char>(c) >= 127) c = '?';
    return tag.size() > shown_max ? shown + "..." : shown;
}

class Parser {
  public:
    Parser(std::string_view text, std::string_view field) : text_(text), field_(field) {}

    std::expected<std::vector<Piece>, Problems> parse() {
        size_t at = 0;
        while (problems_.size() < problems_max) {
            size_t open = text_.find("{{", at);
            if (open == std::string_view::npos) break;
            auto end = tag(open, at);
            if (!end) break;
            at = *end;
        }
        add_text(at, text_.size());
        for (const Block& block : blocks_)
            wrong("content.template_unclosed", block.offset, "the {{#if}} is never closed",
                  "put {{/if}} where the block ends");
        if (!problems_.empty()) return std::unexpected(std::move(problems_));
        return std::move(pieces_);
    }

  private:
    struct Block {
        size_t offset;
        bool has_else = false;
    };

    void wrong(std::string_view code, size_t offset, std::string_view message,
               std::string_view hint) {
        problems_.push_back({std::string(code),
                             fmt::format("{}: {}", position_of(text_, offset), message),
                             std::string(field_), std::string(hint)});
    }

    void add_text(size_t from, size_t to) {
        if (from < to) pieces_.push_back({.text = text_.substr(from, to - from)});
    }

    /// Takes the tag at `open`, with the text from `text_start` in front of it. Gives where to go
    /// on; nothing when the rest of the text cannot be told apart any more.
    std::optional<size_t> tag(size_t open, size_t text_start) {
        bool raw = text_.substr(open, 3) == "{{{";
        std::string_view closing = raw ? "}}}" : "}}";
        size_t inner = open + closing.size();
        size_t close = text_.find(closing, inner);
        size_t next = text_.find("{{", inner);
        if (close == std::string_view::npos || next < close) {
            wrong("content.template_unclosed", open,
                  fmt::format("the tag '{}' is never closed", excerpt(first_line(open))),
                  raw ? "close it with }}}" : "close it with }}");
            if (next == std::string_view::npos) return std::nullopt;
            add_text(text_start, open);
            return next;
        }
        std::string_view inside = trim(text_.substr(inner, close - inner));
        size_t end = close + closing.size();
        bool block = !raw && !inside.empty() && (inside[0] == '#' || inside[0] == '/');
        if (block || (!raw && inside == "else")) {
            size_t text_end = open;
            std::tie(text_end, end) = without_own_line(text_start, open, end);
            add_text(text_start, text_end);
            block_tag(inside, open);
        } else {
            add_text(text_start, open);
            value_tag(inside, raw, open);
        }
        return end;
    }

    std::string_view first_line(size_t offset) const {
        return text_.substr(offset, text_.find_first_of("\r\n", offset) - offset);
    }

    std::pair<size_t, size_t> without_own_line(size_t text_start, size_t open, size_t end) const {
        size_t before = open;
        while (before > text_start && (text_[before - 1] == ' ' || text_[before - 1] == '\t'))
            --before;
        // A tag that another one of the same line went before stays where it is.
        bool starts_line = before == 0 || text_[before - 1] == '\n';
        size_t after = end;
        while (after < text_.size() && (text_[after] == ' ' || text_[after] == '\t')) ++after;
        if (!starts_line) return {open, end};
        if (after == text_.size()) return {before, after};
        if (text_.substr(after, 2) == "\r\n") return {before, after + 2};
        if (text_[after] == '\n') return {before, after + 1};
        return {open, end};
    }

    void block_tag(std::string_view inside, size_t open) {
        if (inside == "else") {
            if (blocks_.empty())
                return wrong("content.template_mismatched", open,
                             "{{else}} stands outside of any {{#if}}",
                             "take it out, or open the block with {{#if name}}");
            if (blocks_.back().has_else)
                return wrong("content.template_mismatched", open,
                             "this {{#if}} has a second {{else}}", "keep one of them");
            blocks_.back().has_else = true;
            pieces_.push_back({.kind = Piece::Kind::if_else});
        } else if (inside[0] == '/') {
            if (trim(inside.substr(1)) != "if")
                return wrong("content.template_unknown", open,
                             fmt::format("unknown closing tag '{}'", excerpt(inside)),
                             "only {{#if}} opens a block, and {{/if}} closes it");
            if (blocks_.empty())
                return wrong("content.template_mismatched", open,
                             "{{/if}} closes nothing: no {{#if}} is open",
                             "take it out, or open the block with {{#if name}}");
            blocks_.pop_back();
            pieces_.push_back({.kind = Piece::Kind::if_end});
        } else {
            std::string_view word = trim(inside.substr(1));
            if (!word.starts_with("if") || word.size() < 3 ||
                blanks.find(word[2]) == std::string_view::npos || !is_name(trim(word.substr(2))))
                return unknown_block(inside, open);
            if (blocks_.size() == template_nesting_max)
                return wrong(
                    "content.template_nesting", open,
                    fmt::format("more than {} blocks inside each other", template_nesting_max),
                    "nest fewer {{#if}} blocks");
            blocks_.push_back({open});
            pieces_.push_back({.kind = Piece::Kind::if_begin, .text = trim(word.substr(2))});
        }
        count(open);
    }

    void unknown_block(std::string_view inside, size_t open) {
        wrong("content.template_unknown", open, fmt::format("unknown block '{}'", excerpt(inside)),
              "the one block is {{#if name}}...{{else}}...{{/if}}, with one variable's name");
    }

    void value_tag(std::string_view inside, bool raw, size_t open) {
        size_t bar = inside.find('|');
        std::string_view name = trim(inside.substr(0, bar));
        if (!is_name(name))
            return wrong("content.template_unknown", open,
                         fmt::format("'{}' is no variable's name", excerpt(name)),
                         fmt::format("a name has up to {} letters, digits, '_', '-' and '.', and "
                                     "starts with a letter or '_'",
                                     variable_name_octets_max));
        pieces_.push_back({.kind = Piece::Kind::value,
                           .raw = raw,
                           .text = name,
                           .fallback = bar == std::string_view::npos
                                           ? std::string_view()
                                           : trim(inside.substr(bar + 1))});
        count(open);
    }

    void count(size_t open) {
        if (++tags_ == placeholders_max + 1)
            wrong("content.template_too_many", open,
                  fmt::format("more than {} placeholders", placeholders_max),
                  "split the mail or use fewer placeholders");
    }

    std::string_view text_, field_;
    std::vector<Piece> pieces_;
    std::vector<Block> blocks_;
    Problems problems_;
    size_t tags_ = 0;
};

}  // namespace

std::expected<std::vector<Piece>, Problems> parse_template(std::string_view text,
                                                           std::string_view field) {
    return Parser(text, field).parse();
}

std::string position_of(std::string_view text, size_t offset) {
    std::string_view before = text.substr(0, offset);
    auto line = std::ranges::count(before, '\n') + 1;
    size_t start = before.rfind('\n') + 1;  // npos + 1 is 0
    auto column = std::ranges::count_if(
                      before.substr(start),
                      [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }) +
                  1;
    return fmt::format("line {}, column {}", line, column);
}

}  // namespace engine
