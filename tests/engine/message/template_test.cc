#include "engine/message/template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/message/limits.h"
#include "tests/engine/message/support/mail.h"

namespace {

using namespace engine;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

Problem only_problem(std::string_view text) {
    auto pieces = parse_template(text, "content.text");
    if (pieces || pieces.error().size() != 1) return {.code = "(not one problem)"};
    return pieces.error()[0];
}

TEST(Template, NamesLineAndColumnOfATagThatIsNeverClosed) {
    Problem problem = only_problem("one\ntwä {{name\nthree");
    EXPECT_EQ(problem.code, "content.template_unclosed");
    EXPECT_EQ(problem.message, "line 2, column 5: the tag '{{name' is never closed");
    EXPECT_EQ(problem.field, "content.text");
}
TEST(Template, NamesWhatIsWrongWithEachKindOfTag) {
    std::vector<std::pair<std::string, std::string>> cases = {
        {"{{#if x}}a", "content.template_unclosed"},
        {"{{a {{b}}", "content.template_unclosed"},
        {"{{{a}}", "content.template_unclosed"},
        {"{{/if}}", "content.template_mismatched"},
        {"{{else}}", "content.template_mismatched"},
        {"{{#if x}}{{else}}{{else}}{{/if}}", "content.template_mismatched"},
        {"{{#each x}}", "content.template_unknown"},
        {"{{#if}}", "content.template_unknown"},
        {"{{#if a b}}", "content.template_unknown"},
        {"{{#iffy}}", "content.template_unknown"},
        {"{{#if a}}{{/each}}{{/if}}", "content.template_unknown"},
        {"{{> partial}}", "content.template_unknown"},
        {"{{! comment}}", "content.template_unknown"},
        {"{{a b}}", "content.template_unknown"},
        {"{{}}", "content.template_unknown"},
        {"{{|x}}", "content.template_unknown"},
        {"{{1a}}", "content.template_unknown"},
        {"{{\x01}}", "content.template_unknown"},
        {"{{" + std::string(65, 'a') + "}}", "content.template_unknown"}};
    for (auto& [text, code] : cases) EXPECT_EQ(only_problem(text).code, code) << text;
}
TEST(Template, TellsAllProblemsOfATextAtOnce) {
    auto pieces = parse_template("{{#each a}}\n{{b b}}\n{{/if}}\n{{c", "content.html");
    ASSERT_FALSE(pieces);
    EXPECT_THAT(test::codes(pieces.error()),
                ElementsAre("content.template_unknown", "content.template_unknown",
                            "content.template_mismatched", "content.template_unclosed"));
    EXPECT_THAT(pieces.error()[2].message, StartsWith("line 3, column 1:"));
}
TEST(Template, LimitsNestingAndNumber) {
    auto nested = [](size_t depth) {
        std::string open, close;
        for (size_t i = 0; i < depth; ++i) open += "{{#if x}}", close += "{{/if}}";
        return open + close;
    };
    EXPECT_TRUE(parse_template(nested(template_nesting_max), ""));
    EXPECT_FALSE(parse_template(nested(template_nesting_max + 1), ""));
    std::string many;
    for (size_t i = 0; i < placeholders_max; ++i) many += "{{x}}";
    EXPECT_TRUE(parse_template(many, ""));
    EXPECT_EQ(only_problem(many + "{{x}}").code, "content.template_too_many");
}
TEST(Template, ToleratesBlanksAndTakesNamesOfManyKinds) {
    for (std::string_view text : {"{{ x }}", "{{\n x\t}}", "{{_x.y-1}}", "{{prénom}}", "{{{ x }}}"})
        EXPECT_TRUE(parse_template(text, "")) << text;
}
TEST(Template, LeavesOtherBracesAlone) {
    auto pieces = parse_template("a } b }} { c { d", "");
    ASSERT_TRUE(pieces);
    ASSERT_EQ(pieces->size(), 1u);
    EXPECT_EQ((*pieces)[0].text, "a } b }} { c { d");
}
TEST(Template, QuotesNoControlCharactersInItsErrors) {
    for (char c : only_problem("{{a\x1b[31m\r\n}}").message) EXPECT_GE(c, 32);
}
TEST(Template, RefusesHostileTextsFast) {
    std::string opens;
    for (int i = 0; i < 500'000; ++i) opens += "{{";
    auto pieces = parse_template(opens, "");
    ASSERT_FALSE(pieces);
    EXPECT_LE(pieces.error().size(), problems_max + 1);
}

}  // namespace
