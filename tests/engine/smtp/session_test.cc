// Every script in scripts/ is played whole, reply by reply, and octet by octet.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <ostream>

#include "tests/engine/smtp/support/script.h"

namespace engine::testing {
namespace {

struct Case {
    std::string script;
    Cut cut{};
};

std::string name_of(const Case& c) {
    constexpr const char* cuts[] = {"_per_reply", "_per_octet", "_all_at_once"};
    return std::filesystem::path(c.script).stem().string() + cuts[static_cast<size_t>(c.cut)];
}

std::vector<Case> all_cases() {
    std::vector<Case> cases;
    const std::string folder = SLUICE_SOURCE_DIR "/tests/engine/smtp/scripts";
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        if (entry.path().extension() != ".smtp") continue;
        for (const Cut cut : {Cut::per_reply, Cut::per_octet, Cut::all_at_once}) {
            cases.push_back({entry.path().string(), cut});
        }
    }
    std::ranges::sort(cases, {}, name_of);
    return cases;
}

void PrintTo(const Case& c, std::ostream* out) {
    *out << name_of(c);
}

class Conversation : public ::testing::TestWithParam<Case> {};

TEST_P(Conversation, GoesAsTheScriptSays) {
    EXPECT_EQ(play(GetParam().script, GetParam().cut), std::vector<std::string>());
}

INSTANTIATE_TEST_SUITE_P(Scripts, Conversation, ::testing::ValuesIn(all_cases()),
                         [](const auto& info) { return name_of(info.param); });

}  // namespace
}  // namespace engine::testing
