// LineSplitter: whole lines out of pieces, however they are cut.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace ingest {

class LineSplitter {
  public:
    static constexpr size_t line_bytes_max = 16 << 20;  // nothing of ours is so long

    explicit LineSplitter(std::function<void(std::string_view)> take) : take_(std::move(take)) {}

    void take(std::string_view piece) {
        rest_ += piece;
        size_t at = 0;
        for (size_t end; (end = rest_.find('\n', at)) != std::string::npos; at = end + 1)
            take_(std::string_view(rest_).substr(at, end - at));
        rest_.erase(0, at);
        if (rest_.size() > line_bytes_max) rest_.clear();
    }

  private:
    std::function<void(std::string_view)> take_;
    std::string rest_;
};

}  // namespace ingest
