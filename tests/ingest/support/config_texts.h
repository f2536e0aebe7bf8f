// Configurations as text: what they give, and what is said of those that are wrong.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "ingest/config.h"

namespace ingest::test {

inline Config good(std::string_view text) {
    auto config = parse_config(text, "t.toml");
    if (config) return std::move(*config);
    for (const auto& p : config.error()) ADD_FAILURE() << to_string(p);
    return {};
}

inline std::vector<std::string> problems(std::string_view text) {
    const auto config = parse_config(text, "t.toml");
    std::vector<std::string> lines;
    if (!config) {
        for (const auto& p : config.error()) lines.push_back(to_string(p));
    }
    return lines;
}

inline std::string problem(std::string_view text) {
    const auto all = problems(text);
    EXPECT_EQ(all.size(), 1) << testing::PrintToString(all);
    return all.empty() ? "" : all.front();
}

inline std::string file_with(const std::string& text, mode_t mode = 0600) {
    static int number = 0;
    std::string path = testing::TempDir() + "/sluice_secret." + std::to_string(getpid()) + "." +
                       std::to_string(++number);
    std::ofstream(path) << text;
    chmod(path.c_str(), mode);
    return path;
}

inline std::string relay(const std::string& more) {
    return "[[domain]]\nname = \"*\"\nroute = [\"smtps://relay.x.test:465\"]\n" + more;
}

}  // namespace ingest::test
