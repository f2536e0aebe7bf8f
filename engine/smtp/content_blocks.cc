#include "engine/smtp/content_blocks.h"

#include <utility>

namespace engine {

ContentBlocks::ContentBlocks(std::string_view content, Transaction::ContentBy by) {
    if (by == Transaction::ContentBy::data) {
        stuffer_.emplace(content);
    } else {
        rest_ = content;
        command_ = "BDAT " + std::to_string(content.size()) + " LAST\r\n";
    }
}

std::span<const std::string_view> ContentBlocks::next() {
    if (stuffer_) return stuffer_->next();
    size_t count = 0;
    if (!std::exchange(begun_, true)) block_[count++] = command_;
    const std::string_view part = rest_.substr(0, DotStuffer::block_bytes);
    rest_.remove_prefix(part.size());
    if (!part.empty()) block_[count++] = part;
    return std::span(block_).first(count);
}

bool ContentBlocks::done() const {
    return stuffer_ ? stuffer_->done() : begun_ && rest_.empty();
}

}  // namespace engine
