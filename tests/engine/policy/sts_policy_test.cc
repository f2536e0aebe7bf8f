#include "engine/policy/sts_policy.h"

#include <gmock/gmock.h>

#include <random>

namespace engine {

namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Mode = StsPolicy::Mode;

std::optional<std::string> id_of(std::vector<std::string> texts) {
    return sts_record_id(texts);
}

constexpr std::string_view good =
    "version: STSv1\r\nmode: enforce\r\nmx: mail.x.test\r\nmx: *.Mx.x.test\r\nmax_age: 604800\r\n";

std::string error_of(std::string_view text) {
    const auto policy = parse_sts_policy(text);
    return policy ? "" : policy.error();
}

}  // namespace

TEST(StsRecord, GivesTheIdOfTheOneRecord) {
    EXPECT_EQ(id_of({"v=STSv1; id=20160831085700Z;"}), "20160831085700Z");
    EXPECT_EQ(id_of({"v=STSv1;id=1"}), "1");
    EXPECT_EQ(id_of({"v=STSv1 ; other=a ; id=2 ; id=3"}), "2");
    EXPECT_EQ(id_of({"v=spf1 -all", "v=STSv1; id=4;", "v=STSv12; id=5;"}), "4");
}

TEST(StsRecord, IsNoneWhenItIsMalformedOrThereTwice) {
    for (const auto& texts :
         std::vector<std::vector<std::string>>{{},
                                               {"v=STSv1"},
                                               {"v=STSv1;"},
                                               {"v=STSv1; id=;"},
                                               {"v=STSv1; id=a-b;"},
                                               {"v=STSv1; id=" + std::string(33, '1')},
                                               {"V=STSv1; id=1;"},
                                               {" id=1; v=STSv1;"},
                                               {"v=STSv1; id=1;", "v=STSv1; id=1;"}})
        EXPECT_EQ(id_of(texts), std::nullopt) << (texts.empty() ? "" : texts[0]);
}

TEST(StsPolicy, IsReadWithItsHostsInLowerCase) {
    const auto policy = parse_sts_policy(good);
    ASSERT_TRUE(policy) << policy.error();
    EXPECT_EQ(policy->mode, Mode::enforce);
    EXPECT_THAT(policy->mx, ElementsAre("mail.x.test", "*.mx.x.test"));
    EXPECT_EQ(policy->max_age, std::chrono::seconds(604800));
}

TEST(StsPolicy, TakesTheFirstOfRepeatedFieldsAndIgnoresUnknownOnes) {
    const auto policy = parse_sts_policy(
        "mx: a.test\nversion: STSv1\nfuture: thing\nmode: testing\nmode: enforce\n\nmax_age: "
        "1\nmax_age: 2");
    ASSERT_TRUE(policy) << policy.error();
    EXPECT_EQ(policy->mode, Mode::testing);
    EXPECT_EQ(policy->max_age, std::chrono::seconds(1));
}

TEST(StsPolicy, NeedsNoHostWhenItsModeIsNone) {
    EXPECT_EQ(error_of("version: STSv1\nmode: none\nmax_age: 60\n"), "");
}

TEST(StsPolicy, LastsAYearAtMost) {
    const auto policy = parse_sts_policy("version: STSv1\nmode: none\nmax_age: 9999999999\n");
    EXPECT_EQ(policy->max_age, StsPolicy::age_max);
}

TEST(StsPolicy, IsRefusedWithTheReason) {
    EXPECT_THAT(error_of(""), HasSubstr("version"));
    EXPECT_THAT(error_of("<html>"), HasSubstr("line 1"));
    EXPECT_THAT(error_of("version: STSv2\nmode: none\nmax_age: 1"), HasSubstr("version"));
    EXPECT_THAT(error_of("version: STSv1\nmode: Enforce\nmax_age: 1"), HasSubstr("mode"));
    EXPECT_THAT(error_of("version: STSv1\nmode: none\nmax_age: 1d"), HasSubstr("max_age"));
    EXPECT_THAT(error_of("version: STSv1\nmode: none\nmax_age: -1"), HasSubstr("max_age"));
    EXPECT_THAT(error_of("version: STSv1\nmode: none\nmax_age: 00000000001"), HasSubstr("max_age"));
    EXPECT_THAT(error_of("version: STSv1\nmode: enforce\nmax_age: 1"), HasSubstr("no mail host"));
    const std::string head = "version: STSv1\nmode: enforce\nmax_age: 1\n";
    for (const char* host :
         {"*", "*.", "a.*.test", "**.test", "mx test", "192.0.2.1", "a\x01.test"})
        EXPECT_THAT(error_of(head + "mx: " + host), HasSubstr("is no mail host")) << host;
    std::string many = head;
    for (int i = 0; i <= 100; ++i) many += "mx: a.test\n";
    EXPECT_THAT(error_of(many), HasSubstr("more than 100"));
}

TEST(StsPolicy, ReadsItsOwnLines) {
    const auto policy = parse_sts_policy(good);
    std::string text;
    for (const std::string& line : lines_of(*policy)) text += line + "\n";
    EXPECT_EQ(parse_sts_policy(text), policy);
}

TEST(StsPolicy, StaysWithinTheTextWhateverIsInIt) {
    std::mt19937_64 random(20261122);
    size_t refused = 0;
    for (int round = 0; round < 20'000; ++round) {
        std::string text(good);
        for (uint64_t change = random() % 6 + 1; change > 0; --change) {
            const size_t at = random() % text.size();
            if (random() % 2) {
                text[at] = static_cast<char>(random());
            } else {
                text.erase(at, random() % 20);
                text += 'x';
            }
        }
        refused += !parse_sts_policy(std::string(text));
    }
    EXPECT_GT(refused, 1000u);
    EXPECT_LT(refused, 20'000u);
}

}  // namespace engine
