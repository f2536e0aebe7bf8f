// Suggestions for misspelt words, for the configuration and the command line.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace ingest {

/// The candidate that the word was most likely meant to be; empty when none is near. Counts
/// insertions, deletions, replacements and swaps of neighbours; allows one such edit in short
/// words, up to three in long ones.
std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace ingest
