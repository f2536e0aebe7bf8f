// Header fields: no value breaks out of its field, whatever it holds; what is shown is what was
// meant.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "engine/message/content.h"
#include "engine/message/field.h"
#include "tests/engine/message/support/mail.h"

namespace {

using namespace test;
using engine::Content;
using engine::Templating;

std::vector<std::string> payloads() {
    using namespace std::string_literals;
    std::vector<std::string> out = {"\r\nBcc: x@evil.test"s,
                                    "\nBcc: x@evil.test"s,
                                    "\rBcc: x@evil.test"s,
                                    "\r\n\r\nbody"s,
                                    "a\r\n b"s,
                                    "\0"s,
                                    "a\0b\r\n"s,
                                    "\u2028Bcc: x"s,
                                    "\u2029Bcc: x"s,
                                    "\u0085Bcc: x"s,
                                    "\x0b"
                                    "Bcc: x"s,
                                    "\x0c"
                                    "Bcc: x"s,
                                    "%0d%0aBcc: x"s,
                                    "%0aBcc: x"s,
                                    "\\r\\nBcc: x"s,
                                    "=?utf-8?q?=0D=0ABcc:_x?="s,
                                    "=?utf-8?b?DQpCY2M6IHg=?="s,
                                    "=?utf-8?q?"s,
                                    "?="s,
                                    "=?"s,
                                    "\xC0\x8A"
                                    "Bcc: x"s,
                                    "\xE0\x80\x8A"
                                    "Bcc: x"s,
                                    "\xFF\xFE"s,
                                    "ü\r\nBcc: x"s,
                                    "\""s,
                                    "\\"s,
                                    "\\\r\nBcc: x"s,
                                    "<x@evil.test>"s,
                                    ", x@evil.test"s,
                                    ">\r\nBcc: x"s,
                                    "("s,
                                    ")"s,
                                    ";"s,
                                    ":"s,
                                    "\t"s,
                                    " "s,
                                    "\x7f"s,
                                    "\x01<x@evil.test>,"s,
                                    "&#13;&#10;Bcc: x"s};
    out.push_back(std::string(10'000, 'x'));
    out.push_back(std::string(10'000, ' '));
    std::string wide;
    for (int i = 0; i < 3'000; ++i) wide += "ü";
    out.push_back(wide);
    for (int i = 0; i < 1'500; ++i) out.back() += " x\r\n";
    return out;
}

/// Names of all fields, which no value may change.
std::vector<std::string> names(std::string_view mail) {
    std::vector<std::string> out;
    for (const auto& [name, value] : parse(mail).fields) out.push_back(name);
    return out;
}

engine::MailParts with_placeholder(int place, const std::string& tag) {
    auto parts = simple();
    switch (place) {
        case 0:
            parts.subject = "a " + tag + " b";
            break;
        case 1:
            parts.from = "N " + tag + " <news@example.com>";
            break;
        case 2:
            parts.reply_to = "\"" + tag + "\" <news@example.com>";
            break;
        case 3:
            parts.headers = {{"X-Custom", tag}, {"X-Next", "1"}};
            break;
        case 4:
            parts.headers = {{"List-Unsubscribe", "<https://x.test/" + tag + ">"}};
            break;
        case 5:
            parts.headers = {{"References", "<a@b> " + tag}};
            break;
        case 6:
            parts.to = "X" + tag + " <{{to}}>";
            break;
        case 7:
            parts.headers = {{"Cc", "c@x.test, C " + tag + " <d@x.test>"}};
            break;
        default:
            parts.headers = {{"X-Long-" + std::string(60, 'n'), "=" + tag + "?"}};
    }
    return parts;
}

TEST(Headers, LetNoValueAddALine) {
    size_t tried = 0;
    for (int place = 0; place < 9; ++place) {
        for (std::string tag : {"{{x}}", "{{{x}}}", "{{x|d}}{{x}}"}) {
            auto content = compile(with_placeholder(place, tag));
            auto expected = names(render(content, {{"x", "harmless"}}));
            for (const std::string& payload : payloads()) {
                std::string mail = render(content, {{"x", payload}});
                ++tried;
                ASSERT_TRUE(fits_smtp(mail)) << mail;
                auto got = names(mail);
                // A field may turn out empty and go; none may come.
                if (got != expected) ASSERT_EQ(got.size() + 1, expected.size()) << mail;
                ASSERT_EQ(mail.find("\r\nBcc"), std::string::npos);
                ASSERT_NE(mail.find("\r\n\r\nHi\r\n"), std::string::npos);
                ASSERT_FALSE(content.eight_bit());
                for (char c : mail) ASSERT_LT(static_cast<unsigned char>(c), 128) << mail;
            }
        }
    }
    EXPECT_GT(tried, 1'000u);
}
TEST(Headers, LetNoLiteralAddALine) {
    for (const std::string& payload : payloads()) {
        bool line = payload.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos;
        for (int place = 0; place < 9; ++place) {
            auto parts = with_placeholder(place, payload);
            auto content = Content::assemble(parts, origin);
            if (line) ASSERT_FALSE(content) << place;
            if (!content) continue;
            ASSERT_TRUE(fits_smtp(render(*content, {})));
            ASSERT_EQ(render(*content, {}).find("\r\nBcc"), std::string::npos);
        }
        auto parts = simple();
        parts.headers = {{"X" + payload, "v"}};
        auto content = Content::assemble(parts, origin);
        if (content) ASSERT_TRUE(fits_smtp(render(*content, {})));
        if (line) ASSERT_FALSE(content);
    }
}
TEST(Headers, LetNoAddressOfARecipientAddALine) {
    auto content = compile(simple());
    for (const std::string& payload : payloads()) {
        std::string to = payload + "@x.test";
        std::string mail = content.render({.id = {}, .to = to, .vars = {}});
        ASSERT_TRUE(fits_smtp(mail)) << mail;
        ASSERT_EQ(mail.find("\r\nBcc"), std::string::npos);
    }
}
TEST(Headers, LetNoValueOfARawMessageAddALine) {
    auto content = compile_raw(
        "From: {{x}} <a@x.test>\r\nSubject: =?utf-8?q?a?= {{x}} =?utf-8?q?b?=\r\n\r\nHi\r\n",
        Templating::on);
    for (const std::string& payload : payloads()) {
        std::string mail = render(content, {{"x", payload}});
        ASSERT_TRUE(fits_smtp(mail)) << mail;
        ASSERT_EQ(names(mail).size(), 4u) << mail;
        ASSERT_NE(mail.find("\r\n\r\nHi\r\n"), std::string::npos);
    }
}
TEST(Headers, ShowTheSubjectThatWasMeant) {
    std::mt19937 random(1);
    const std::vector<std::string> bits = {"a",
                                           "word",
                                           " ",
                                           "  ",
                                           "ü",
                                           "日本語",
                                           "😀",
                                           "=?utf-8?q?x?=",
                                           "=?",
                                           "?=",
                                           "=",
                                           "_",
                                           "(",
                                           "\"",
                                           "\\",
                                           std::string(70, 'w'),
                                           std::string(1'000, 'v'),
                                           "%",
                                           "@",
                                           "\xC2\xA0"};
    for (int round = 0; round < 20'000; ++round) {
        auto some = [&] {
            std::string out;
            for (size_t i = random() % 8; i > 0; --i) out += bits[random() % bits.size()];
            return out;
        };
        std::string before = some(), value = some(), after = some();
        auto parts = simple();
        parts.subject = before + "{{x}}" + after;
        std::string mail = render(compile(parts), {{"x", value}});
        ASSERT_TRUE(fits_smtp(mail));
        std::string expected = before + value + after;
        size_t start = expected.find_first_not_of(' ');
        expected = start == std::string::npos
                       ? "(none)"
                       : expected.substr(start, expected.find_last_not_of(' ') - start + 1);
        ASSERT_EQ(shown(parse(mail).field("Subject")), expected) << mail;
    }
}
TEST(Headers, FoldLongLinesAtBlanks) {
    auto parts = simple();
    parts.subject.clear();
    for (int i = 0; i < 60; ++i) parts.subject += "word" + std::to_string(i) + " ";
    std::string mail = render(compile(parts), {});
    for (size_t at = 0; at < mail.size();) {
        size_t end = mail.find("\r\n", at);
        EXPECT_LE(end - at, 78u);
        at = end + 2;
    }
}
TEST(Headers, RefuseATokenThatCannotBeFolded) {
    auto parts = simple();
    parts.headers = {{"References", "<" + std::string(2'000, 'x') + ">"}};
    EXPECT_THAT(problems_of(parts), testing::ElementsAre("content.header_too_long"));
}
TEST(Headers, LimitTheSizeOfTheHeader) {
    auto parts = simple();
    parts.headers = {{"X-A", std::string(300'000, 'x')}};
    EXPECT_THAT(problems_of(parts), testing::ElementsAre("content.header_too_large"));
}
TEST(Headers, KeepAUtf8RecipientButNoOtherUtf8Address) {
    auto parts = simple();
    parts.headers = {{"Cc", "{{x}}@x.test, c@x.test"}};
    Parsed mail = parse(render(compile(parts), {{"x", "jürg"}}, "jörg@bücher.test"));
    EXPECT_EQ(mail.field("To"), "jörg@xn--bcher-kva.test");
    EXPECT_EQ(mail.field("Cc"), "c@x.test");
}

}  // namespace
