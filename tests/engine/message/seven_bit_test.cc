#include "engine/message/seven_bit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/message/encode.h"
#include "engine/message/entity.h"
#include "tests/engine/message/support/mail.h"

namespace {

using engine::to_ascii_header;
using engine::to_seven_bit;
using testing::HasSubstr;
using testing::Not;

const std::string sender_field = "From: a@x.test\r\n";

/// As it came out; it has to, and to fit SMTP, and to be ASCII.
std::string converted(std::string_view message) {
    auto out = to_seven_bit(message);
    EXPECT_TRUE(out) << out.error();
    if (!out) return {};
    EXPECT_TRUE(engine::is_ascii(*out));
    EXPECT_TRUE(test::fits_smtp(*out)) << *out;
    return *out;
}
std::string refusal(std::string_view message) {
    auto out = to_seven_bit(message);
    return out ? "" : out.error();
}
std::string part_of(std::string_view message, size_t number) {
    const auto entity = engine::split_entity(message);
    size_t at = 0;
    for (const auto& piece : engine::split_multipart(entity.body, engine::type_of(entity).boundary))
        if (piece.kind == engine::BodyPiece::Kind::part && at++ == number)
            return std::string(piece.text);
    return "(none)";
}

TEST(SevenBit, LeavesAsciiAlone) {
    const std::string mail = sender_field + "Content-Type: text/plain\r\n\r\n=20 hi\r\n.\r\n";
    EXPECT_EQ(converted(mail), mail);
}

TEST(SevenBit, WritesATextAsQuotedPrintable) {
    EXPECT_EQ(converted(sender_field + "MIME-Version: 1.0\r\nContent-Type: text/plain; "
                                       "charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n"
                                       "X-After: 1\r\n\r\nG\xFC"
                                       "te = gut \r\nfertig\r\n"),
              sender_field +
                  "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=iso-8859-1\r\n"
                  "X-After: 1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
                  "G=FCte =3D gut=20\r\nfertig\r\n");
}

TEST(SevenBit, WritesMostlyHighTextsAndFilesAsBase64) {
    std::string text;
    for (int i = 0; i < 40; ++i) text += "日本語";
    const std::string mail =
        converted(sender_field + "Content-Type: text/plain; charset=utf-8\r\n\r\n" + text + "\r\n");
    EXPECT_THAT(mail, HasSubstr("Content-Transfer-Encoding: base64\r\n"));
    EXPECT_EQ(engine::decode_base64(engine::split_entity(mail).body), text + "\r\n");
    const std::string file = converted(
        sender_field +
        "Content-Type: application/x-y\r\nContent-Transfer-Encoding: binary\r\n\r\n\xFF\r\n");
    EXPECT_THAT(file, HasSubstr("base64\r\n\r\n/w0K\r\n"));
}

TEST(SevenBit, SaysOfABareTextWhatItIs) {
    EXPECT_THAT(converted(sender_field + "\r\nü\r\n"),
                HasSubstr("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
                          "Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=BC\r\n"));
    EXPECT_THAT(converted(sender_field + "\r\n\xFC\r\n"), HasSubstr("charset=unknown-8bit\r\n"));
}

TEST(SevenBit, GoesIntoMultipartsAndTouchesOnlyWhatItMust) {
    const std::string mail = converted(
        sender_field +
        "Content-Type: multipart/mixed; boundary=\"b 1\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        "pre\xFF"
        "amble\r\n--b 1\r\nContent-Type: text/plain\r\n\r\nplain\r\n--b 1\r\n"
        "Content-Type: multipart/alternative; boundary=b2\r\n\r\n--b2\r\n\r\nü\r\n--b2--\r\n\r\n"
        "--b 1\r\n\r\nende ß\r\n--b 1--\r\nepilogue\r\n");
    EXPECT_THAT(mail, HasSubstr("Content-Transfer-Encoding: 7bit\r\n\r\npre?amble\r\n--b 1"));
    EXPECT_EQ(part_of(mail, 0), "Content-Type: text/plain\r\n\r\nplain");
    EXPECT_THAT(part_of(part_of(mail, 1), 0), HasSubstr("quoted-printable\r\n\r\n=C3=BC"));
    EXPECT_THAT(part_of(mail, 2), HasSubstr("\r\n\r\nende =C3=9F"));
    EXPECT_THAT(mail, HasSubstr("--b 1--\r\nepilogue\r\n"));
}

TEST(SevenBit, GoesIntoEnclosedMessagesAlsoThoseOfADigest) {
    const std::string inner = "From: b@x.test\r\nSubject: für\r\n\r\nü";
    const std::string mail = converted(
        sender_field + "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\n" + inner +
        "\r\n--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" +
        inner + "\r\n--b--\r\n");
    for (const size_t number : {0u, 1u}) {
        const std::string enclosed(engine::split_entity(part_of(mail, number)).body);
        EXPECT_THAT(enclosed, HasSubstr("Subject: =?"));
        EXPECT_THAT(enclosed,
                    HasSubstr("Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=BC"));
    }
    EXPECT_THAT(part_of(mail, 1), HasSubstr("Content-Transfer-Encoding: 7bit\r\n\r\nFrom: b@"));
}

TEST(SevenBit, RefusesToSpoilASignature) {
    const auto mail = [](const char* text) {
        return sender_field +
               "Content-Type: multipart/signed; boundary=b; protocol=\"application/pgp-signature\""
               "\r\n\r\n--b\r\n\r\n" +
               text + "\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n";
    };
    EXPECT_THAT(refusal(mail("ü")), HasSubstr("multipart/signed"));
    EXPECT_EQ(converted(mail("u")), mail("u"));
}

TEST(SevenBit, RefusesWhatHasNoOtherForm) {
    EXPECT_THAT(refusal(sender_field + "Content-Type: multipart/mixed\r\n\r\nü\r\n"),
                HasSubstr("no proper boundary"));
    EXPECT_THAT(refusal(sender_field + "Content-Type: multipart/mixed; boundary=b\r\n"
                                       "Content-Transfer-Encoding: base64\r\n\r\nü\r\n"),
                HasSubstr("claims to be encoded"));
    EXPECT_THAT(refusal(sender_field + "Content-Transfer-Encoding: x-own\r\n\r\nü\r\n"),
                HasSubstr("encoding that is not known"));
    EXPECT_THAT(refusal(sender_field + "Content-Type: message/partial; id=1\r\n\r\nü\r\n"),
                HasSubstr("message/partial"));
    EXPECT_THAT(refusal("From: jörg@x.test\r\n\r\nhi\r\n"), HasSubstr("From has an address"));
    EXPECT_THAT(refusal(sender_field + "Subject: \xFF\r\n\r\nhi\r\n"),
                HasSubstr("neither ASCII nor UTF-8"));
    EXPECT_THAT(refusal(sender_field + "References: <ü@x>\r\n\r\nhi\r\n"),
                HasSubstr("field References"));
    std::string deep = sender_field;
    for (int i = 0; i < 40; ++i) deep += "Content-Type: message/rfc822\r\n\r\n";
    EXPECT_THAT(refusal(deep + "\r\nü\r\n"), HasSubstr("too deep"));
}

TEST(SevenBit, EncodesHeaderFields) {
    const std::string mail =
        "From: Jörg <j@x.test>\r\nSubject: grüße\r\nContent-Type: text/plain; charset=utf-8; "
        "name=\"ä b.txt\"\r\nContent-Disposition: attachment; filename=\"ä b.txt\"; size=3\r\n"
        "X-Plain: 1\r\n\r\nhi\r\n";
    const std::string out = converted(mail);
    EXPECT_EQ(to_ascii_header(mail), out);
    const test::Parsed parsed = test::parse(out);
    EXPECT_EQ(test::shown(parsed.field("Subject")), "grüße");
    EXPECT_THAT(parsed.field("From"), HasSubstr("<j@x.test>"));
    EXPECT_EQ(parsed.field("Content-Disposition"),
              "attachment; filename*=utf-8''%C3%A4%20b.txt; size=3");
    EXPECT_EQ(parsed.field("Content-Type"),
              "text/plain; charset=utf-8; name*=utf-8''%C3%A4%20b.txt");
}

TEST(SevenBit, TheHeaderAloneLeavesTheBody) {
    EXPECT_EQ(to_ascii_header(sender_field + "Subject: a\r\n\r\nü\r\n"),
              sender_field + "Subject: a\r\n\r\nü\r\n");
}

TEST(SevenBit, MendsWhatClaimsToBeEncodedAndIsNot) {
    EXPECT_THAT(converted(sender_field +
                          "Content-Transfer-Encoding: quoted-printable\r\n\r\na=3D ü=\r\nb\r\n"),
                HasSubstr("\r\n\r\na=3D =C3=BC=\r\nb\r\n"));
    EXPECT_THAT(converted(sender_field + "Content-Transfer-Encoding: base64\r\n\r\naG\xFFk=\r\n"),
                HasSubstr("\r\n\r\naGk=\r\n"));
}

// Found by tests/fuzz: the last part of a multipart that nobody closed ends the whole mail.
TEST(SevenBit, EndsAnUnclosedMultipartWithALineEnd) {
    EXPECT_THAT(converted(sender_field + "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
                                         "Content-Type: image/png\r\n\r\n\xFF\xFF\xFF\xFF\r\n"),
                testing::EndsWith("\r\n\r\n/////w0K\r\n"));
}

TEST(SevenBit, BreaksAnEncodedLineThatBecomesTooLong) {
    const std::string full = "\xFF" + std::string(990, 'a') + "=3D=3D\r\n";
    const std::string out =
        converted(sender_field + "Content-Transfer-Encoding: quoted-printable\r\n\r\n" + full);
    EXPECT_THAT(out, HasSubstr("\r\n\r\n=FFaaa"));
    EXPECT_THAT(out, testing::AnyOf(HasSubstr("=\r\n=3D"), HasSubstr("=\r\na")));
}

}  // namespace
