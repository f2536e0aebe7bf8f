#include "engine/net/line_reader.h"

#include "metrics/check.h"

namespace engine {

Task<Result<Line>> LineReader::next() {
    partial_.clear();
    size_t length = 0;      // of the line so far, with what is dropped of it
    bool after_cr = false;  // its last octet so far is a CR, which may belong to its end
    bool bare_cr = false;
    for (;;) {
        if (rest_.empty()) TRY(co_await fill());
        const size_t lf = rest_.find('\n');
        const std::string_view part = rest_.substr(0, lf);
        const bool ends = lf != std::string_view::npos;
        rest_.remove_prefix(part.size() + ends);

        if (!part.empty()) {
            bare_cr = bare_cr || after_cr || part.substr(0, part.size() - 1).contains('\r');
            after_cr = part.back() == '\r';
        }
        length += part.size();
        std::string_view text = part;  // most lines come whole: no copy
        if (!ends || !partial_.empty() || part.size() > limits_.kept) {
            partial_.append(part.substr(0, limits_.kept - partial_.size()));
            text = partial_;
        }
        if (ends) {
            if (after_cr && text.size() == length) text.remove_suffix(1);
            co_return Line{text, length - after_cr, after_cr && !bare_cr};
        }
        if (length > limits_.line_max) {
            co_return failure(Errc::protocol, "a line of more than " +
                                                  std::to_string(limits_.line_max) + " octets");
        }
    }
}

void LineReader::consume(size_t bytes) {
    CHECK(bytes <= rest_.size(), "more bytes consumed than are buffered");
    rest_.remove_prefix(bytes);
}

Task<Result<void>> LineReader::fill() {
    CHECK(rest_.empty(), "buffered bytes would be lost by reading on");
    rest_ = TRY(co_await stream_.read());
    co_return Result<void>();
}

}  // namespace engine
