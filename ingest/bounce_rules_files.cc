#include "ingest/bounce_rules_files.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace ingest {

namespace {

constexpr size_t file_bytes_max = 4 << 20;

engine::BouncePatterns read_file(const std::string& path) {
    const auto fail = [&](std::string_view why) {
        return std::unexpected(std::vector{fmt::format(
            "{}: the bounce rules cannot be read: {}; give a readable file", path, why)});
    };
    std::error_code none;
    std::ifstream in(path, std::ios::binary);
    if (!in) return fail(std::strerror(errno));
    if (std::filesystem::is_directory(path, none)) return fail("it is a directory");
    std::string text(file_bytes_max + 1, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<size_t>(in.gcount()));
    if (text.size() > file_bytes_max) return fail("it is too large");
    return engine::read_bounce_patterns(text, path);
}

}  // namespace

std::expected<std::shared_ptr<const engine::BounceRules>, std::vector<std::string>>
load_bounce_rules(const std::vector<std::string>& paths) {
    std::vector<engine::BouncePattern> patterns;
    std::vector<std::string> problems;
    for (const std::string& path : paths) {
        auto read = read_file(path);
        if (read)
            std::ranges::move(*read, std::back_inserter(patterns));
        else
            std::ranges::move(read.error(), std::back_inserter(problems));
    }
    if (!problems.empty()) return std::unexpected(std::move(problems));
    if (patterns.empty()) return engine::BounceRules::built_in();
    return engine::BounceRules::with(std::move(patterns));
}

std::optional<std::string> check_rules_file(const std::string& path) {
    const auto loaded = load_bounce_rules({path});
    if (loaded) return std::nullopt;
    return fmt::format("is not usable: {}", fmt::join(loaded.error(), "; "));
}

}  // namespace ingest
