#include "ingest/query_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "ingest/units.h"

namespace ingest {

std::optional<std::string_view> QueryReader::value(std::string_view name) {
    known_.emplace_back(name);
    return request_.parameter(name);
}

std::string QueryReader::text(std::string_view name) {
    return std::string(value(name).value_or(""));
}

uint64_t QueryReader::count(std::string_view name, uint64_t fallback, uint64_t most) {
    const auto given = value(name);
    if (!given) return fallback;
    const auto number = parse_count(*given, most);
    if (!number) wrong(name, number.error());
    return number.value_or(fallback);
}

bool QueryReader::flag(std::string_view name) {
    const auto given = value(name);
    if (!given || *given == "false" || *given == "0") return false;
    if (*given != "true" && *given != "1" && !given->empty()) wrong(name, "must be true or false");
    return true;
}

std::string_view QueryReader::word(std::string_view name, std::vector<std::string_view> words) {
    const auto given = value(name);
    if (!given) return words.front();
    const auto found = std::ranges::find(words, *given);
    if (found != words.end()) return *found;
    wrong(name, fmt::format("must be one of: {}", fmt::join(words, ", ")));
    return words.front();
}

void QueryReader::wrong(std::string_view name, std::string message) {
    bad_.errors.push_back({"parameter.value", std::move(message), "?" + std::string(name), {}});
}

std::optional<HttpAnswer> QueryReader::refusal() {
    for (const auto& [name, value] : request_.query) {
        if (std::ranges::find(known_, name) != known_.end()) continue;
        bad_.errors.push_back(
            {"parameter.unknown", "there is no such parameter", "?" + name.substr(0, 64),
             known_.empty() ? "this path takes none"
                            : fmt::format("known are: {}", fmt::join(known_, ", "))});
    }
    if (bad_.errors.empty()) return std::nullopt;
    return to_answer(bad_);
}

}  // namespace ingest
