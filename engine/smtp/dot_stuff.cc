#include "engine/smtp/dot_stuff.h"

#include <utility>

namespace engine {

DotStuffer::DotStuffer(std::string_view content)
    : rest_(content),
      terminator_(content.empty() || content.ends_with("\r\n") ? ".\r\n" : "\r\n.\r\n") {}

std::span<const std::string_view> DotStuffer::next() {
    chunks_.clear();
    copied_.clear();
    size_t bytes = 0;
    while (!rest_.empty() && bytes < block_bytes && chunks_.size() + 1 < chunks_max &&
           copied_.size() + copied_below <= copied_max) {
        const std::string_view piece = take_piece();
        bytes += piece.size();
        add(piece);
    }
    if (rest_.empty() && !terminator_.empty()) {
        chunks_.push_back(std::exchange(terminator_, {}));
    }
    return chunks_;
}

/// Up to and with the next dot that begins a line; that dot stays in rest_, to go out once more.
std::string_view DotStuffer::take_piece() {
    if (at_line_start_ && rest_.front() == '.') {
        at_line_start_ = false;
        return rest_.substr(0, 1);
    }
    const std::string_view window = rest_.substr(0, block_bytes);
    const size_t lf = window.find("\n.");
    if (lf == std::string_view::npos) {
        rest_.remove_prefix(window.size());
        at_line_start_ = window.back() == '\n';
        return window;
    }
    rest_.remove_prefix(lf + 1);
    at_line_start_ = false;
    return window.substr(0, lf + 2);
}

void DotStuffer::add(std::string_view piece) {
    if (piece.size() >= copied_below) {
        chunks_.push_back(piece);
        return;
    }
    if (copied_.capacity() < copied_max) copied_.reserve(copied_max);
    const char* const begin = copied_.data() + copied_.size();
    copied_.append(piece);
    const bool joins = !chunks_.empty() && chunks_.back().data() + chunks_.back().size() == begin;
    if (joins) {
        const size_t before = chunks_.back().size();
        chunks_.back() = {begin - before, before + piece.size()};
    } else {
        chunks_.emplace_back(begin, piece.size());
    }
}

namespace {

/// Every CR stands before an LF and every LF behind a CR. Without branches, so that the compiler
/// makes vector code of it: each mail passes here before it is sent, and nearly all of them hold.
bool line_ends_are_whole(std::string_view content) {
    if (content.empty()) return true;
    unsigned char broken = 0;
    const char* const octets = content.data();
    for (size_t i = 0; i + 1 < content.size(); ++i)
        broken |= static_cast<unsigned char>((octets[i] == '\r') != (octets[i + 1] == '\n'));
    return broken == 0 && content.front() != '\n' && content.back() != '\r';
}

}  // namespace

size_t find_bare_line_end(std::string_view content) {
    if (line_ends_are_whole(content)) return std::string_view::npos;
    size_t at = 0;
    while (at < content.size()) {
        const size_t lf = content.find('\n', at);
        const size_t end = lf == std::string_view::npos ? content.size() : lf;
        const size_t cr = content.substr(at, end - at).find('\r');
        if (cr != std::string_view::npos && (lf == std::string_view::npos || at + cr + 1 != lf)) {
            return at + cr;
        }
        if (lf != std::string_view::npos && cr == std::string_view::npos) return lf;
        at = end + 1;
    }
    return std::string_view::npos;
}

}  // namespace engine
