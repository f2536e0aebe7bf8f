#include "ingest/did_you_mean.h"

#include <algorithm>
#include <vector>

namespace ingest {

namespace {
constexpr size_t word_max = 64;  // longer ones are no misspelt word of ours

/// Optimal string alignment distance.
size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<size_t> before_last(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
    for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
    for (size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (size_t j = 1; j <= b.size(); ++j) {
            const size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
            const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped) row[j] = std::min(row[j], before_last[j - 2] + 1);
        }
        std::swap(before_last, last);
        std::swap(last, row);
    }
    return last[b.size()];
}
}  // namespace

std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates) {
    if (word.size() > word_max) return {};
    size_t nearest = std::clamp<size_t>(word.size() / 3, 1, 3) + 1;
    std::string_view found;
    for (const auto candidate : candidates) {
        const size_t distance = edit_distance(word, candidate);
        // A beginning counts as one edit: "bytes" was meant to be "bytes_max".
        const size_t cost = word.size() >= 3 && candidate.starts_with(word) ? 1 : distance;
        if (cost < nearest) {
            nearest = cost;
            found = candidate;
        }
    }
    return std::string(found);
}

}  // namespace ingest
