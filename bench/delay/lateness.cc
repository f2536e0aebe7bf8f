#include "bench/delay/lateness.h"

#include <fmt/format.h>

#include <algorithm>

namespace delay {

void Lateness::add(std::chrono::nanoseconds late) {
    ++counts_[std::min(size_t(late / bucket), counts_.size() - 1)];
    ++pieces_;
    latest_ = std::max(latest_, late);
}

std::chrono::microseconds Lateness::quantile(double share) const {
    auto wanted = uint64_t(share * double(pieces_));
    uint64_t seen = 0;
    for (size_t i = 0; i < counts_.size(); ++i) {
        seen += counts_[i];
        if (seen > wanted || seen == pieces_) return bucket * (i + 1);
    }
    return bucket * counts_.size();
}

std::string Lateness::text() const {
    if (pieces_ == 0) return "0 pieces";
    return fmt::format("{} pieces, late by {} us (p50), {} us (p99), {} us (max)", pieces_,
                       quantile(0.5).count(), quantile(0.99).count(), latest_.count() / 1000);
}

}  // namespace delay
