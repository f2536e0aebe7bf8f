#include "engine/delivery/automation.h"

#include <gtest/gtest.h>

namespace engine {
namespace {

using namespace std::chrono_literals;
using enum BounceClass;

std::vector<AutomationRule> rules() {
    std::vector<AutomationRule> all(2);
    all[0] = {.name = "blocked", .provider = "x", .klass = spam_block, .count = 3, .within = 1min};
    all[1] = {.name = "listed", .match = make_match("block ?list", nullptr)};
    return all;
}

TEST(Automation, FiresWhenItHasHeardEnoughInTime) {
    const auto all = rules();
    Automation heard;
    const Instant now{1h};
    EXPECT_FALSE(heard.remembers(now));
    EXPECT_FALSE(heard.heard(all, "x", spam_block, "550 no", now));
    EXPECT_TRUE(heard.remembers(now + 50s));
    EXPECT_FALSE(heard.remembers(now + 60s));
    EXPECT_FALSE(heard.heard(all, "x", spam_block, "550 no", now + 50s));
    EXPECT_FALSE(heard.heard(all, "x", spam_block, "550 no", now + 65s)) << "the first is too old";
    const AutomationRule* fired = heard.heard(all, "x", spam_block, "550 no", now + 70s);
    ASSERT_TRUE(fired);
    EXPECT_EQ(fired->name, "blocked");
    EXPECT_FALSE(heard.heard(all, "x", spam_block, "550 no", now + 71s)) << "it begins anew";
}

TEST(Automation, HearsOnlyWhatItsRulesName) {
    const auto all = rules();
    Automation heard;
    const Instant now{1h};
    for (int i = 0; i < 10; ++i) {
        EXPECT_FALSE(heard.heard(all, "y", spam_block, "550 no", now)) << "another provider";
        EXPECT_FALSE(heard.heard(all, "x", throttled, "450 slow", now)) << "another class";
    }
    const AutomationRule* fired = heard.heard(all, "y", other, "554 You are on our BLOCKLIST", now);
    ASSERT_TRUE(fired);
    EXPECT_EQ(fired->name, "listed");
}

TEST(Automation, SaysWhatIsWrongWithAnExpression) {
    std::string why;
    EXPECT_FALSE(make_match("(", &why));
    EXPECT_FALSE(why.empty());
}

}  // namespace
}  // namespace engine
