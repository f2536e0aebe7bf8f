#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <regex>

#include "ingest/config.h"
#include "ingest/setting.h"

namespace ingest {
namespace {

std::string example_file() {
    std::ifstream in(SLUICE_SOURCE_DIR "/deploy/sluice.example.toml");
    return {std::istreambuf_iterator<char>(in), {}};
}

TEST(ExampleConfig, IsTheDefaultsAsItStands) {
    const auto example = parse_config(example_file(), "sluice.example.toml");
    ASSERT_TRUE(example.has_value()) << to_string(example.error().front());
    const auto defaults = parse_config("", "t.toml");
    ASSERT_EQ(example->effective.size(), defaults->effective.size());
    for (const auto& wanted : defaults->effective) {
        const auto got =
            std::ranges::find(example->effective, wanted.name, &Config::Effective::name);
        ASSERT_NE(got, example->effective.end()) << wanted.name;
        EXPECT_EQ(got->value, wanted.value) << wanted.name;
        EXPECT_NE(got->origin, "default") << wanted.name << " is missing in the example";
    }
    EXPECT_TRUE(example->warnings.empty());
}

TEST(ExampleConfig, ShowsEverySettingOnceItsExamplesAreUncommented) {
    std::string uncommented =
        std::regex_replace(example_file(), std::regex("\n#([a-z\\[])"), "\n$1");
    // A password must be there to be read.
    const std::string password = testing::TempDir() + "/sluice_example." + std::to_string(getpid());
    std::ofstream(password) << "secret";
    chmod(password.c_str(), 0600);
    uncommented =
        std::regex_replace(uncommented, std::regex("/etc/sluice/(relay|proxy).password"), password);
    const auto example = parse_config(uncommented, "sluice.example.toml");
    ASSERT_TRUE(example.has_value()) << to_string(example.error().front());
    for (const Setting& s : settings()) {
        const bool shown = std::ranges::any_of(example->effective, [&](const Config::Effective& e) {
            return e.name.starts_with(std::string(s.section) + ".") &&
                   e.name.ends_with("." + std::string(s.key)) && e.origin != "default";
        });
        EXPECT_TRUE(shown) << "[" << s.section << "] " << s.key
                           << " is not in deploy/sluice.example.toml";
    }
}

}  // namespace
}  // namespace ingest
