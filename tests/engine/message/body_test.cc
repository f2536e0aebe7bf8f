// Bodies on the wire: the column invariants of quoted-printable, MIME structure, attachments.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "engine/message/content.h"
#include "engine/message/encode.h"
#include "tests/engine/message/support/mail.h"

namespace {

using namespace test;
using engine::Content;
using testing::HasSubstr;

/// Random texts out of what is awkward: blanks, line ends, '=', dots, UTF-8, runs near the line's
/// limit.
class Texts {
  public:
    explicit Texts(uint32_t seed) : random_(seed) {}
    size_t below(size_t n) { return random_() % n; }
    std::string text() {
        static const std::vector<std::string> bits = {
            "a",   "word", " ",  "  ", "\t",     "\n",   "\r\n",   "=",
            "=\n", ".",    "..", "ü",  "日本語", "😀",   "&<>\"'", "From ",
            "=20", "--",   "}}", "{",  "x=_y",   "\x7f", "\x01"};
        std::string out;
        for (size_t i = below(6); i > 0; --i)
            out += below(5) == 0 ? std::string(60 + below(30), 'x') : bits[below(bits.size())];
        return out;
    }

  private:
    std::mt19937 random_;
};

std::string lines(std::string_view text) {  // the text with CRLF line ends
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') continue;
        out += text[i] == '\n' || text[i] == '\r' ? std::string("\r\n") : std::string(1, text[i]);
    }
    return out;
}
std::string html_escaped(std::string_view text) {
    std::string out;
    engine::append_html(out, text);
    return out;
}

/// Grows a template and the text that it must become side by side.
struct Grown {
    std::string source, expected;
};
void grow(Texts& texts, const Content::Vars& vars, bool html, int depth, Grown& out, bool live) {
    for (size_t i = texts.below(5); i > 0; --i) {
        std::string text = texts.text();
        while (text.find("{{") != std::string::npos) text = texts.text();
        const auto& [name, value] = vars[texts.below(vars.size())];
        // A CR at the end of one piece and an LF at the start of the next are two line ends, in
        // both.
        switch (texts.below(depth > 0 ? 4 : 3)) {
            case 0:
                // "_" keeps block tags from being alone on their line, which takes the line end
                // with them.
                out.source += "_" + text + "_";
                if (live) out.expected += "_" + text + "_";
                break;
            case 1:
                out.source += "{{" + std::string(name) + "}}";
                if (live) out.expected += html ? html_escaped(value) : std::string(value);
                break;
            case 2:
                out.source += "{{{" + std::string(name) + "}}}";
                if (live) out.expected += value;
                break;
            case 3: {
                bool truth = !value.empty() && value != "0" && value != "false";
                out.source += "_{{#if " + std::string(name) + "}}";
                if (live) out.expected += "_";
                grow(texts, vars, html, depth - 1, out, live && truth);
                out.source += "{{else}}";
                grow(texts, vars, html, depth - 1, out, live && !truth);
                out.source += "{{/if}}_";
                if (live) out.expected += "_";
            }
        }
    }
}

TEST(QuotedPrintable, DecodesToWhatTheTemplateSaysWhateverTheValuesAre) {
    int dynamic = 0;
    for (uint32_t seed = 0; seed < 20'000; ++seed) {
        Texts texts(seed);
        std::vector<std::string> values;
        for (int i = 0; i < 4; ++i) {
            values.push_back(texts.text());
            while (values.back().ends_with('\r') || values.back().starts_with('\n'))
                values.back() = texts.text();  // two pieces' CR and LF are not one line end
        }
        Content::Vars vars = {
            {"a", values[0]}, {"b", values[1]}, {"c", values[2]}, {"d", values[3]}};
        bool html = seed % 2 == 0;
        Grown grown;
        grow(texts, vars, html, 3, grown, true);
        auto parts = simple();
        parts.text.reset();
        (html ? parts.html : parts.text) = grown.source;
        std::string mail = render(compile(parts), vars);
        ASSERT_TRUE(fits_smtp(mail)) << mail;
        Parsed parsed = parse(mail);
        if (parsed.field("Content-Transfer-Encoding") != "quoted-printable") continue;
        ++dynamic;
        std::string expected = lines(grown.expected);
        std::string decoded = unquoted(parsed.body);
        // The end of the message ends its last line, too.
        if (decoded != expected)
            ASSERT_EQ(decoded, expected + "\r\n") << seed << "\n" << grown.source;
    }
    EXPECT_GT(dynamic, 10'000);
}

TEST(QuotedPrintable, BreaksLinesNowhereElseThanNeeded) {
    std::string out;
    EXPECT_EQ(engine::append_quoted_printable(out, "short line", 0), 10u);
    EXPECT_EQ(out, "short line");
    out.clear();
    EXPECT_EQ(engine::append_quoted_printable(out, "a ", 0), 4u);
    EXPECT_EQ(out, "a=20");
    out.clear();
    engine::append_quoted_printable(out, "xx", 74);
    EXPECT_EQ(out, "x=\r\nx");
}
TEST(QuotedPrintable, DecodingIsTheInverseAndTakesAnything) {
    for (uint32_t seed = 0; seed < 5'000; ++seed) {
        Texts texts(seed);
        std::string text = lines(texts.text() + texts.text()), encoded;
        engine::append_quoted_printable(encoded, text, 0);
        ASSERT_EQ(engine::decode_quoted_printable(encoded), text);
        engine::decode_quoted_printable(text);
        engine::decode_base64(text);
    }
}
TEST(Base64, DecodingIsTheInverse) {
    std::string octets;
    for (int i = 0; i < 300; ++i) {
        EXPECT_EQ(engine::decode_base64(engine::base64_lines(octets)), octets);
        octets += static_cast<char>(i * 7);
    }
    EXPECT_FALSE(engine::decode_base64("ab=c"));
    EXPECT_FALSE(engine::decode_base64("a*c="));
}

engine::MailParts rich() {
    auto parts = simple();
    parts.html = "<p>Hi</p><img src='cid:logo@x'>";
    parts.attachments = {
        {.filename = "a.pdf", .type = "application/pdf", .bytes = "PDF"},
        {.filename = "logo.png", .type = "image/png", .bytes = "PNG", .content_id = "logo@x"}};
    return parts;
}
TEST(Mime, NestsTextHtmlInlineImagesAndAttachments) {
    std::string mail = render(compile(rich()), {});
    size_t at = 0;
    for (std::string_view next :
         {"multipart/mixed", "multipart/alternative", "text/plain", "multipart/related",
          "text/html", "image/png", "Content-ID: <logo@x>", "application/pdf"}) {
        size_t found = mail.find(next, at);
        ASSERT_NE(found, std::string::npos) << next << "\n" << mail;
        at = found;
    }
    EXPECT_TRUE(fits_smtp(mail));
}
TEST(Mime, UsesNoMultipartForASingleText) {
    EXPECT_EQ(render(compile(simple()), {}).find("multipart"), std::string::npos);
}
TEST(Mime, MakesTheSameBytesOfTheSameJob) {
    EXPECT_EQ(compile(rich()).encode(), compile(rich()).encode());
}
TEST(Mime, LetsNoTextForgeABoundary) {
    auto parts = rich();
    parts.text = "--=_0000000000000007_0--\r\n{{x}}";
    std::string mail = render(compile(parts), {{"x", "\n--=_0000000000000007_1\nX: y"}});
    size_t count = 0;
    for (size_t at = 0; (at = mail.find("\r\n--=_0000000000000007_", at)) != std::string::npos;
         ++at)
        ++count;
    EXPECT_EQ(count, 9u);  // three multiparts of two parts each
}
TEST(Mime, WritesFileNamesOfAllKinds) {
    auto header = [](std::string filename) {
        auto parts = simple();
        parts.attachments = {{.filename = std::move(filename), .bytes = "x"}};
        return render(compile(parts), {});
    };
    EXPECT_THAT(header("a b.pdf"), HasSubstr("filename=\"a b.pdf\"\r\n"));
    EXPECT_THAT(header("Größe.pdf"), HasSubstr("filename*=utf-8''Gr%C3%B6%C3%9Fe.pdf\r\n"));
    EXPECT_THAT(header("a\"; x=\"b"), HasSubstr("filename*=utf-8''a%22%3B%20x%3D%22b\r\n"));
    EXPECT_THAT(header(std::string(120, 'x')), HasSubstr(";\r\n filename*2*=xx"));
}
TEST(Mime, RefusesTypesThatWouldBreakTheStructure) {
    for (std::string type : {"x", "a/b\r\nX: y", "a/b; c", "multipart/mixed", "message/rfc822",
                             "a/b; c=\"d", "a b/c", "a/b; c=d e"}) {
        auto parts = simple();
        parts.attachments = {{.filename = "f", .type = type, .bytes = "x"}};
        EXPECT_THAT(problems_of(parts), testing::ElementsAre("content.attachment_type")) << type;
    }
}
TEST(Mime, TakesTheShorterEncodingForFixedTexts) {
    auto encoding = [](std::string text) {
        auto parts = simple();
        parts.text = std::move(text);
        return parse(render(compile(parts), {})).field("Content-Transfer-Encoding");
    };
    EXPECT_EQ(encoding("plain\nlines"), "7bit");
    EXPECT_EQ(encoding("Grüße an alle, die das lesen können"), "quoted-printable");
    EXPECT_EQ(encoding(std::string(200, 'x')), "quoted-printable");
    EXPECT_EQ(encoding("blank at the end \nx"), "quoted-printable");
    std::string japanese;
    for (int i = 0; i < 50; ++i) japanese += "日本語の文章";
    EXPECT_EQ(encoding(japanese), "base64");
}

}  // namespace
