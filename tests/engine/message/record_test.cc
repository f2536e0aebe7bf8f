// The stored form: what is read back renders the same; damage is told, never a crash.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "engine/message/content.h"
#include "tests/engine/message/support/mail.h"

namespace {

using namespace test;
using engine::Content;

engine::MailParts involved() {
    auto parts = simple();
    parts.from = "{{brand|News}} <news@example.com>";
    parts.subject = "{{#if x}}Hi {{name}}{{else}}Hello{{/if}} ü";
    parts.headers = {{"List-Unsubscribe", "<https://x.test/{{token}}>"}, {"X-A", "ü"}};
    parts.text = "a {{x}} {{#if y}}b {{y|z}}{{else}}c{{/if}} d\n";
    parts.html = "<p>{{x}} {{{y}}}</p>";
    parts.attachments = {{.filename = "a.txt", .type = "text/plain", .bytes = "abc"}};
    return parts;
}
const Content::Vars values = {{"x", "ä<"},
                              {"y",
                               "long "
                               "value"},
                              {"token", "t"},
                              {"name", "Ann"}};

TEST(Record, RendersTheSameAfterAWayThroughTheStore) {
    auto content = compile(involved());
    auto read = Content::decode(content.encode());
    ASSERT_TRUE(read) << read.error();
    for (const auto& vars : {values, Content::Vars{}})
        EXPECT_EQ(render(*read, vars), render(content, vars));
    EXPECT_EQ(read->variables(), content.variables());
    EXPECT_EQ(read->same_for_all(), content.same_for_all());
    EXPECT_EQ(read->eight_bit(), content.eight_bit());
    EXPECT_EQ(read->encode(), content.encode());
    EXPECT_GT(read->bytes(), 500u);
    EXPECT_GT(read->rendered_bytes_hint(), render(content, {}).size() / 2);
}
TEST(Record, RefusesAnUnknownVersion) {
    std::string bytes = compile(simple()).encode();
    bytes[0] = 99;
    auto read = Content::decode(bytes);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error(), "content record: unknown version 99");
}
TEST(Record, RefusesEveryShorterRecord) {
    std::string bytes = compile(involved()).encode();
    for (size_t size = 0; size < bytes.size(); ++size)
        EXPECT_FALSE(Content::decode(std::string_view(bytes).substr(0, size))) << size;
    EXPECT_FALSE(Content::decode(bytes + "x"));
}
TEST(Record, SurvivesDamagedRecords) {
    std::string whole = compile(involved()).encode();
    size_t operations =
        whole.find("From");  // damage before it hits the operations, the rest is text
    std::mt19937 random(1);
    size_t taken = 0;
    for (int round = 0; round < 60'000; ++round) {
        std::string bytes = whole;
        for (size_t n = 1 + random() % 3; n > 0; --n)
            bytes[random() % (round % 4 != 0 ? operations : bytes.size())] =
                static_cast<char>(random());
        auto read = Content::decode(bytes);
        if (!read) continue;
        ++taken;
        render(*read, values);
        read->check_vars(values, "");
    }
    EXPECT_GT(taken, 100u);
}

}  // namespace
