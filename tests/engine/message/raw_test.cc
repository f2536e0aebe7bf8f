#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/message/content.h"
#include "tests/engine/message/support/mail.h"

namespace {

using namespace test;
using engine::Content;
using engine::Templating;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const std::string head =
    "From: a@x.test\r\nDate: Sun, 22 Nov 2026 13:00:00 +0000\r\n"
    "Message-ID: <1@x.test>\r\nSubject: s\r\n";

std::string problem_of(std::string_view raw) {
    auto content = Content::from_raw(raw, Templating::off, origin);
    return content ? "" : content.error()[0].code + ": " + content.error()[0].message;
}

TEST(Raw, KeepsACompleteMessageAsItIs) {
    std::string raw = head + "X-Odd:no blank\r\n\tfolded\r\n\r\nbody {{x}}\r\n.\r\n\r\n";
    auto content = compile_raw(raw, Templating::off);
    EXPECT_EQ(render(content, {}), raw);
    EXPECT_TRUE(content.same_for_all());
    EXPECT_FALSE(content.eight_bit());
}
TEST(Raw, AddsDateMessageIdAndTheLastLineEnd) {
    auto content = compile_raw("From: a@x.test\r\n\r\nbody", Templating::off);
    EXPECT_EQ(render(content, {}),
              "From: a@x.test\r\nDate: Sun, 22 Nov 2026 13:00:00 +0000\r\n"
              "Message-ID: <0000000000007@mx.example.com>\r\n\r\nbody\r\n");
    EXPECT_TRUE(content.same_for_all());
}
TEST(Raw, TakesAMessageWhoseLineEndsAreAllLf) {
    EXPECT_TRUE(fits_smtp(render(compile_raw("From: a@x\n\nbody\n", Templating::off), {})));
}
TEST(Raw, RefusesBareLineEndsWithTheirLine) {
    EXPECT_EQ(problem_of(head + "\r\na\r\nb\nc\r\n"),
              "content.bare_lf: line 7: a bare LF in a message that has CR too");
    EXPECT_EQ(problem_of(head + "\r\na\rb\r\n"), "content.bare_cr: line 6: a bare CR");
    EXPECT_EQ(problem_of(head + "\r\na\r"), "content.bare_cr: line 6: a bare CR");
    EXPECT_EQ(problem_of("From: a@x\r\r\n\r\n"), "content.bare_cr: line 1: a bare CR");
}
TEST(Raw, RefusesNulAndLongLinesWithTheirLine) {
    EXPECT_EQ(problem_of(head + "\r\n" + std::string(1, '\0')), "content.nul: line 6: holds NUL");
    EXPECT_EQ(problem_of(head + "\r\n" + std::string(998, 'x')), "");
    EXPECT_EQ(problem_of(head + "\r\nshort\r\n" + std::string(999, 'x')),
              "content.line_too_long: line 7: 999 octets, more than the 998 that SMTP allows");
}
TEST(Raw, RefusesWhatIsNoMessage) {
    for (std::string raw : {std::string(), std::string("\r\nbody"), std::string("hello"), head,
                            head + "no field\r\n\r\nx", "From a@x Sun\r\n" + head + "\r\nx",
                            " folded: first\r\n" + head + "\r\nx"})
        EXPECT_THAT(problem_of(raw), testing::StartsWith("content.raw_header: line ")) << raw;
    EXPECT_THAT(problem_of("Subject: s\r\n\r\nx"), HasSubstr("content.from_missing"));
    EXPECT_THAT(problem_of(head + "Subject: t\r\n\r\nx"),
                HasSubstr("content.header_duplicate: line 5: a second Subject field"));
}
TEST(Raw, TakesOutBccAndReturnPath) {
    std::string mail = render(compile_raw("Return-Path: <x@y>\r\n" + head +
                                              "Bcc: secret@x.test,\r\n b@x.test\r\n\r\nx\r\n",
                                          Templating::off),
                              {});
    EXPECT_EQ(mail, head + "\r\nx\r\n");
}
TEST(Raw, SaysThatAMessageHasEightBits) {
    EXPECT_TRUE(compile_raw(head + "\r\nü\r\n", Templating::off).eight_bit());
}
TEST(Raw, LeavesABodyThatLooksLikeATemplateAloneWithoutTemplating) {
    auto content = compile_raw(head + "\r\n{{#if\r\n", Templating::off);
    EXPECT_THAT(render(content, {}), HasSubstr("{{#if\r\n"));
}

std::string templated(std::string_view raw, const Content::Vars& vars) {
    std::string mail = render(compile_raw(raw, Templating::on), vars);
    EXPECT_TRUE(fits_smtp(mail)) << mail;
    return mail;
}
TEST(RawTemplate, FillsHeaders) {
    Parsed mail = parse(templated(
        "From: a@x.test\r\nSubject: =?utf-8?q?H=C3=A4?= {{name}}\r\n and more\r\n\r\nx\r\n",
        {{"name", "Jörg"}}));
    EXPECT_EQ(shown(mail.field("Subject")), "Hä Jörg and more");
    EXPECT_EQ(mail.field("Message-ID"), "<0000000000007-0@mx.example.com>");
}
TEST(RawTemplate, SendsATextWithPlaceholdersAsQuotedPrintable) {
    Parsed mail = parse(templated(head + "\r\nDear {{name}},\r\nbye\r\n", {{"name", "Jörg"}}));
    EXPECT_EQ(mail.field("Content-Type"), "text/plain; charset=utf-8");
    EXPECT_EQ(mail.field("Content-Transfer-Encoding"), "quoted-printable");
    EXPECT_EQ(mail.field("MIME-Version"), "1.0");
    EXPECT_EQ(unquoted(mail.body), "Dear Jörg,\r\nbye\r\n");
}
TEST(RawTemplate, FindsPlaceholdersThatQuotedPrintableHasTornApart) {
    Parsed mail =
        parse(templated(head + "MIME-Version: 1.0\r\nContent-Type: text/html; charset=UTF-8\r\n"
                               "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
                               "<p>=C3=A4 {{na=\r\nme|=C3=B6}}</p>=\r\n",
                        {{"name", "<J>"}}));
    EXPECT_EQ(unquoted(mail.body), "<p>ä &lt;J&gt;</p>\r\n");
    EXPECT_EQ(mail.field("Content-Type"), "text/html; charset=UTF-8");
}
TEST(RawTemplate, FillsEveryTextPartOfAMultipart) {
    std::string raw =
        head +
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"b\"\r\n\r\npreamble "
        "{{p}}\r\n"
        "--b\r\nContent-Type: multipart/alternative; boundary=bb\r\n\r\n"
        "--bb\r\n\r\nHi {{x}}\r\n"
        "--bb\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: 8bit\r\n\r\n<p>{{x}}</p>\r\n"
        "--bb--\r\n\r\n"
        "--b\r\nContent-Type: text/csv\r\nContent-Disposition: attachment\r\n\r\n{{x}}\r\n"
        "--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n"
        "--b--\r\nepilogue\r\n";
    std::string mail = templated(raw, {{"x", "<ü>"}});
    EXPECT_THAT(mail, HasSubstr("\r\n\r\nHi=20<=C3=BC>\r\n--bb\r\n"));
    EXPECT_THAT(mail, HasSubstr("<p>&lt;=C3=BC&gt;=\r\n</p>\r\n--bb--\r\n"));
    EXPECT_THAT(mail, HasSubstr("attachment\r\n\r\n{{x}}\r\n--b\r\n"));
    EXPECT_THAT(mail, HasSubstr("preamble {{p}}\r\n--b\r\n"));
    EXPECT_THAT(mail, testing::EndsWith("AAAA\r\n--b--\r\nepilogue\r\n"));
    std::string still = render(compile_raw(raw, Templating::off), {});
    EXPECT_EQ(still, raw);
}
TEST(RawTemplate, RefusesPlaceholdersWhereNoValueCanStand) {
    auto problems = [](std::string more) { return problems_of_raw(head + more, Templating::on); };
    EXPECT_THAT(problems("Content-Transfer-Encoding: base64\r\n\r\ne3t4fX0=\r\n"),  // {{x}}
                ElementsAre("content.template_base64"));
    EXPECT_THAT(problems("Content-Type: text/plain; charset=iso-8859-1\r\n\r\n{{x}}\r\n"),
                ElementsAre("content.template_charset"));
    EXPECT_THAT(problems("Content-Transfer-Encoding: x-uuencode\r\n\r\n{{x}}\r\n"),
                ElementsAre("content.template_encoding"));
    EXPECT_THAT(problems("Content-Type: text/{{x}}\r\n\r\nx\r\n"),
                ElementsAre("content.template_header"));
    EXPECT_THAT(problems("X-A: {{x\r\n\r\n{{#if}}\r\n"),
                ElementsAre("content.template_unclosed", "content.template_unknown"));
}
TEST(RawTemplate, LimitsNestingAndParts) {
    std::string deep = head + "Content-Type: multipart/mixed; boundary=b0\r\n\r\n";
    for (int i = 0; i < 200; ++i)
        deep += "--b" + std::to_string(i) + "\r\nContent-Type: multipart/mixed; boundary=b" +
                std::to_string(i + 1) + "\r\n\r\n";
    EXPECT_THAT(problems_of_raw(deep, Templating::on), ElementsAre("content.mime_too_deep"));
    std::string wide = head + "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
    for (int i = 0; i < 5'000; ++i) wide += "--b\r\n\r\nx\r\n";
    EXPECT_THAT(problems_of_raw(wide, Templating::on), ElementsAre("content.mime_too_deep"));
}
TEST(RawTemplate, SurvivesBrokenStructures) {
    std::string raw = head +
                      "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: "
                      "text/plain\r\n\r\nHi {{x}}\r\n--b\r\n--b\r\n\r\n--b--\r\nend\r\n";
    for (size_t cut = head.size() + 2; cut < raw.size(); ++cut) {
        auto content = Content::from_raw(raw.substr(0, cut), Templating::on, origin);
        if (content) EXPECT_TRUE(fits_smtp(render(*content, {{"x", "y"}}))) << cut;
    }
}

}  // namespace
