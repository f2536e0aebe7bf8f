// What a submitter's content becomes: placeholders in each context, conditions, fields that we add.
#include "engine/message/content.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/message/field.h"
#include "tests/engine/message/support/mail.h"

namespace {

using namespace test;
using engine::Content;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

std::string body_of(const engine::MailParts& parts, const Content::Vars& vars) {
    std::string mail = render(compile(parts), vars);
    EXPECT_TRUE(fits_smtp(mail)) << mail;
    Parsed parsed = parse(mail);
    return parsed.field("Content-Transfer-Encoding") == "quoted-printable" ? unquoted(parsed.body)
                                                                           : parsed.body;
}
std::string text_of(std::string text, const Content::Vars& vars) {
    auto parts = simple();
    parts.text = std::move(text);
    return body_of(parts, vars);
}
std::string html_of(std::string html, const Content::Vars& vars) {
    auto parts = simple();
    parts.text.reset();
    parts.html = std::move(html);
    return body_of(parts, vars);
}
std::string subject_of(std::string subject, const Content::Vars& vars) {
    auto parts = simple();
    parts.subject = std::move(subject);
    std::string mail = render(compile(parts), vars);
    EXPECT_TRUE(fits_smtp(mail)) << mail;
    return shown(parse(mail).field("Subject"));
}

TEST(Content, WritesAPlainMailWithAllTheFieldsItNeeds) {
    auto content = compile(simple());
    EXPECT_EQ(render(content, {{"name", "Ann"}}, "ann@example.org", 3),
              "From: news@example.com\r\n"
              "To: Ann <ann@example.org>\r\n"
              "Subject: Hello\r\n"
              "Date: Sun, 22 Nov 2026 13:00:00 +0000\r\n"
              "Message-ID: <0000000000007-3@mx.example.com>\r\n"
              "MIME-Version: 1.0\r\n"
              "Content-Type: text/plain; charset=utf-8\r\n"
              "Content-Transfer-Encoding: 7bit\r\n"
              "\r\n"
              "Hi\r\n");
    EXPECT_FALSE(content.eight_bit());
}

TEST(Content, PutsValuesIntoTheText) {
    EXPECT_EQ(text_of("Dear {{name}},\nbye", {{"name", "Änne & <Co>"}}),
              "Dear Änne & <Co>,\r\nbye\r\n");
}
TEST(Content, EscapesValuesInHtml) {
    EXPECT_EQ(html_of("<p title='{{x}}'>{{x}}</p>", {{"x", "<b>\"&'"}}),
              "<p title='&lt;b&gt;&quot;&amp;&#39;'>&lt;b&gt;&quot;&amp;&#39;</p>\r\n");
}
TEST(Content, LeavesRawValuesInHtmlAsTheyAre) {
    EXPECT_EQ(html_of("<p>{{{x}}}</p>", {{"x", "<b>ü</b>"}}), "<p><b>ü</b></p>\r\n");
}
TEST(Content, PutsValuesIntoTheSubject) {
    EXPECT_EQ(subject_of("Hi {{name}}!", {{"name", "Jörg"}}), "Hi Jörg!");
    EXPECT_EQ(subject_of("Hi {{{name}}}!", {{"name", "Jörg"}}), "Hi Jörg!");
}
TEST(Content, TakesTheDefaultWhenAVariableIsMissingOrEmpty) {
    EXPECT_EQ(text_of("Dear {{name|customer}}", {}), "Dear customer\r\n");
    EXPECT_EQ(text_of("Dear {{name|customer}}", {{"name", ""}}), "Dear customer\r\n");
    EXPECT_EQ(text_of("Dear {{ name | dear customer }}", {{"name", "Ann"}}), "Dear Ann\r\n");
    EXPECT_EQ(subject_of("For {{name|you}}", {}), "For you");
    EXPECT_EQ(html_of("{{x|a<b}}{{{x|<i>}}}", {}), "a&lt;b<i>\r\n");
}
TEST(Content, RendersAMissingVariableAsNothing) {
    EXPECT_EQ(text_of("a{{x}}b", {}), "ab\r\n");
}
TEST(Content, TakesMissingEmptyFalseAndZeroForFalse) {
    for (std::string_view value : {"", "false", "0"})
        EXPECT_EQ(text_of("{{#if x}}yes{{else}}no{{/if}}", {{"x", value}}), "no\r\n") << value;
    EXPECT_EQ(text_of("{{#if x}}yes{{else}}no{{/if}}", {}), "no\r\n");
    EXPECT_EQ(text_of("{{# if x }}yes{{ else }}no{{/ if }}", {{"x", "1"}}), "yes\r\n");
}
TEST(Content, NestsConditions) {
    std::string text = "{{#if a}}A{{#if b}}B{{else}}b{{/if}}{{else}}a{{/if}}.";
    EXPECT_EQ(text_of(text, {{"a", "1"}, {"b", "1"}}), "AB.\r\n");
    EXPECT_EQ(text_of(text, {{"a", "1"}}), "Ab.\r\n");
    EXPECT_EQ(text_of(text, {{"b", "1"}}), "a.\r\n");
}
TEST(Content, LeavesNoEmptyLineWhereABlockTagStoodAlone) {
    EXPECT_EQ(text_of("one\n{{#if x}}\ntwo\n{{/if}}\nthree\n", {{"x", "1"}}),
              "one\r\ntwo\r\nthree\r\n");
    EXPECT_EQ(text_of("one\r\n  {{#if x}}\r\ntwo\r\n{{/if}}\r\nthree", {}), "one\r\nthree\r\n");
}
TEST(Content, UsesConditionsInHeaders) {
    EXPECT_EQ(subject_of("Hi{{#if name}} {{name}}{{else}} there{{/if}}", {{"name", "Ann"}}),
              "Hi Ann");
    EXPECT_EQ(subject_of("Hi{{#if name}} {{name}}{{else}} there{{/if}}", {}), "Hi there");
}
TEST(Content, KnowsToNameAndId) {
    EXPECT_EQ(text_of("{{to}} {{name}} {{id}}", {{"name", "Ann"}}),
              "ann@example.org Ann 0000000000007-0\r\n");
}
TEST(Content, DoesNotLetVariablesReplaceToAndId) {
    EXPECT_EQ(text_of("{{to}} {{id}}", {{"to", "x"}, {"id", "y"}}),
              "ann@example.org 0000000000007-0\r\n");
}
TEST(Content, TurnsLineEndsOfValuesIntoCrlf) {
    EXPECT_EQ(text_of("{{x}}", {{"x", "a\nb\rc\r\nd \ne"}}), "a\r\nb\r\nc\r\nd \r\ne\r\n");
}
TEST(Content, ReplacesWhatIsNotUtf8) {
    EXPECT_EQ(text_of("{{x}}", {{"x",
                                 "a\xFF"
                                 "b\xC3"}}),
              "a\uFFFDb\uFFFD\r\n");
    EXPECT_EQ(subject_of("{{x}}", {{"x",
                                    "a\xFF"
                                    "b"}}),
              "a\uFFFDb");
}
TEST(Content, GivesEachDeliveryItsOwnMessageId) {
    auto content = compile(simple());
    EXPECT_FALSE(content.same_for_all());
    EXPECT_NE(parse(render(content, {}, "a@x.test", 1)).field("Message-ID"),
              parse(render(content, {}, "a@x.test", 2)).field("Message-ID"));
}
TEST(Content, GivesAMailThatIsTheSameForAllOneMessageId) {
    auto parts = simple();
    parts.to = "undisclosed-recipients:;";
    auto content = compile(parts);
    EXPECT_TRUE(content.same_for_all());
    EXPECT_EQ(render(content, {}, "a@x.test", 1), render(content, {}, "b@x.test", 2));
    EXPECT_EQ(parse(render(content, {})).field("Message-ID"), "<0000000000007@mx.example.com>");
    EXPECT_EQ(parse(render(content, {})).field("To"), "undisclosed-recipients:;");
}
TEST(Content, KeepsADateAndAMessageIdOfTheSubmitters) {
    auto parts = simple();
    parts.headers = {{"date", "Mon, 23 Nov 2026 00:00:00 +0000"}, {"Message-ID", "<{{x}}@y.test>"}};
    Parsed mail = parse(render(compile(parts), {{"x", "1"}}));
    EXPECT_EQ(mail.field("date"), "Mon, 23 Nov 2026 00:00:00 +0000");
    EXPECT_EQ(mail.field("Date"), "(none)");
    EXPECT_EQ(mail.field("Message-ID"), "<1@y.test>");
}
TEST(Content, KeepsOnlyTheVariablesThatItLooksAt) {
    auto parts = simple();
    parts.text = "{{token}}";
    auto content = compile(parts);
    EXPECT_THAT(content.variables(), ElementsAre("name", "to", "id", "token"));
    std::string with_more = content.encode_vars({{"unused", "xxxxxxxxxxx"}, {"token", "t"}});
    EXPECT_EQ(with_more, content.encode_vars({{"token", "t"}}));
    EXPECT_LT(with_more.size(), 8u);
}
TEST(Content, RendersDamagedVariablesWithoutHarm) {
    auto parts = simple();
    parts.text = "{{a}}{{b}}{{c}}";
    auto content = compile(parts);
    std::string vars = content.encode_vars({{"a", "one"}, {"b", "two"}, {"c", "three"}});
    for (size_t i = 0; i < vars.size(); ++i)
        for (int bit = 0; bit < 8; ++bit) {
            std::string damaged = vars.substr(0, vars.size() - i % 2);
            damaged[i % damaged.size()] ^= static_cast<char>(1 << bit);
            EXPECT_TRUE(fits_smtp(content.render({.id = {}, .to = "a@x", .vars = damaged})));
        }
}
TEST(Content, NamesEveryProblemOfAMailAtOnce) {
    engine::MailParts parts;
    parts.subject = "a\r\nBcc: x@y";
    parts.headers = {{"Bad Name", "x"}, {"Subject", "y"}, {"Content-Type", "z"}, {"Bcc", "b@x"}};
    parts.attachments = {{.filename = "a\nb", .type = "nonsense", .bytes = "x"}};
    EXPECT_THAT(
        problems_of(parts),
        ElementsAre("content.from_missing", "content.header_injection", "content.header_name",
                    "content.header_duplicate", "content.header_duplicate",
                    "content.header_forbidden", "content.attachment_type",
                    "content.attachment_filename", "content.body_missing"));
}
TEST(Content, RefusesSingleFieldsGivenTwice) {
    auto parts = simple();
    parts.headers = {{"Message-ID", "<a@b>"}, {"message-id", "<c@d>"}, {"X-A", "1"}, {"X-A", "2"}};
    EXPECT_THAT(problems_of(parts), ElementsAre("content.header_duplicate"));
}
TEST(Content, RefusesAFromThatIsNoMailbox) {
    for (std::string from :
         {"News", "News <news>", "a@b <", "<a@b", "a b@c", "a@b, c", "{{x}} <y>"}) {
        auto parts = simple();
        parts.from = from;
        EXPECT_THAT(problems_of(parts), ElementsAre("content.address_invalid")) << from;
    }
}
TEST(Content, TakesTheMailboxesThatPeopleWrite) {
    std::vector<std::pair<std::string, std::string>> cases = {
        {"news@example.com", "news@example.com"},
        {"News <news@example.com>", "News <news@example.com>"},
        {"\"Doe, Jane\" <j@x.test>", "\"Doe, Jane\" <j@x.test>"},
        {"J. Doe <j@x.test>", "\"J. Doe\" <j@x.test>"},
        {"Acme: News <n@x.test>", "\"Acme: News\" <n@x.test>"},
        {"a@x.test, B <b@x.test>", "a@x.test, B <b@x.test>"},
        {"\"a b\"@x.test", "\"a b\"@x.test"},
        {"Jörg <j@x.test>", "=?utf-8?q?J=C3=B6rg?= <j@x.test>"},
        {"j@bücher.test", "j@xn--bcher-kva.test"},
        {"j@x.test (Jane)", "j@x.test"}};
    for (auto& [given, written] : cases) {
        auto parts = simple();
        parts.from = given;
        EXPECT_EQ(parse(render(compile(parts), {})).field("From"), written) << given;
    }
}
TEST(Content, DoesNotLetANameBecomeAnAddress) {
    auto parts = simple();
    parts.from = "{{brand}} <news@example.com>";
    auto content = compile(parts);
    for (std::string_view name : {"Evil <x@evil.test>,", "x@evil.test", "a\" <x@evil.test>, \"b",
                                  "(", "x>, <y@evil.test", "=?utf-8?q?x?=", "\\"}) {
        std::string from = parse(render(content, {{"brand", name}})).field("From");
        auto list = engine::parse_mailboxes(from);
        ASSERT_EQ(list.mailboxes.size(), 1u) << from;
        EXPECT_EQ(list.mailboxes[0].address, "news@example.com") << from;
        EXPECT_EQ(list.problem, "") << from;
    }
}
TEST(Content, SaysWhenFromHasNoAddressWithTheseValues) {
    auto parts = simple();
    parts.from = "{{sender}}";
    auto content = compile(parts);
    EXPECT_THAT(codes(content.check_vars({}, "vars.")), ElementsAre("vars.from_missing"));
    EXPECT_THAT(codes(content.check_vars({{"sender", "a@x.test"}}, "vars.")), IsEmpty());
}
TEST(Content, ChecksTheValuesThatItUses) {
    auto parts = simple();
    parts.subject = "{{s}}";
    parts.text = "{{t}}";
    auto content = compile(parts);
    using namespace std::string_view_literals;
    auto check = [&](const Content::Vars& vars) {
        return codes(content.check_vars(vars, "recipients[0].vars."));
    };
    EXPECT_THAT(check({{"s", "a\nb"}}), ElementsAre("vars.header_injection"));
    EXPECT_THAT(check({{"s", "a\0b"sv}}), ElementsAre("vars.header_injection"));
    EXPECT_THAT(check({{"t", "a\nb"}, {"other", "\r\n"}}), IsEmpty());
    EXPECT_THAT(check({{"t", "a\0b"sv}}), ElementsAre("vars.nul"));
    EXPECT_THAT(check({{"t", "\xFF"}}), ElementsAre("vars.not_utf8"));
    EXPECT_THAT(check({{"to", "x"}}), ElementsAre("vars.reserved"));
    EXPECT_EQ(content.check_vars({{"s", "\r"}}, "recipients[0].vars.")[0].field,
              "recipients[0].vars.s");
}
TEST(Content, DropsAHeaderFieldThatTurnsOutEmpty) {
    auto parts = simple();
    parts.reply_to = "{{reply}}";
    parts.headers = {{"X-Tag", "{{tag}}"}};
    Parsed mail = parse(render(compile(parts), {}));
    EXPECT_EQ(mail.field("Reply-To"), "(none)");
    EXPECT_EQ(mail.field("X-Tag"), "(none)");
}
TEST(Content, KeepsAUrlInAHeaderWhole) {
    auto parts = simple();
    parts.headers = {{"List-Unsubscribe", "<https://example.com/u/{{token}}>"}};
    auto content = compile(parts);
    EXPECT_EQ(parse(render(content, {{"token", "a=b?c&d"}})).field("List-Unsubscribe"),
              "<https://example.com/u/a=b?c&d>");
    EXPECT_EQ(parse(render(content, {{"token", "> <x ü"}})).field("List-Unsubscribe"),
              "<https://example.com/u/%3E%20%3Cx%20%C3%BC>");
}

}  // namespace
