#include "ingest/smtp_envelope.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ingest {
namespace {

using ::testing::HasSubstr;

constexpr SmtpOffers all{.auth = true, .require_tls = true};

uint16_t code_of_mail(const std::string& parameters, SmtpOffers offers = all) {
    const auto mail = parse_mail_from("FROM:<b@s.example> " + parameters, offers);
    return mail ? 250 : mail.error().code;
}

uint16_t code_of_rcpt(const std::string& parameters) {
    const auto rcpt = parse_rcpt_to("TO:<a@x.example> " + parameters, Utf8Addresses::refused);
    return rcpt ? 250 : rcpt.error().code;
}

TEST(SmtpEnvelope, ReadsEveryParameterOfMail) {
    const auto mail = parse_mail_from(
        "FROM:<k\xc3\xa4te@s.example> SIZE=9 BODY=8BITMIME SMTPUTF8 ret=hdrs "
        "ENVID=QQ+2B3+3D+20x AUTH=<> REQUIRETLS",
        all);
    ASSERT_TRUE(mail.has_value()) << mail.error().text;
    EXPECT_EQ(mail->sender, "k\xc3\xa4te@s.example");
    EXPECT_EQ(mail->size, 9u);
    EXPECT_EQ(mail->ret, storage::DsnReturn::headers);
    EXPECT_EQ(mail->envid, "QQ+3= x");
    EXPECT_TRUE(mail->utf8);
    EXPECT_TRUE(mail->require_tls);
    EXPECT_EQ(parse_mail_from("FROM:<> RET=FULL", all)->ret, storage::DsnReturn::full);
    EXPECT_EQ(parse_mail_from("FROM:<>", all)->ret, storage::DsnReturn::unstated);
}

TEST(SmtpEnvelope, RefusesParametersThatAreNotExactlyTheirs) {
    for (const char* wrong : {"RET",
                              "RET=",
                              "RET=BODY",
                              "RET=FULL RET=FULL",
                              "ENVID",
                              "ENVID=",
                              "ENVID=a=b",
                              "ENVID=a+b",
                              "ENVID=a+2b",
                              "ENVID=+0D+0A",
                              "ENVID=+00",
                              "ENVID=+7F",
                              "ENVID=+",
                              "ENVID=+4",
                              "ENVID=\xc3\xa4",
                              "ENVID=+C3+A4",
                              "SMTPUTF8=1",
                              "REQUIRETLS=yes",
                              "AUTH",
                              "AUTH=",
                              "AUTH=a=b",
                              "SIZE",
                              "BODY",
                              "BODY=BINARYMIME",
                              "SMTPUTF8 SMTPUTF8"}) {
        EXPECT_EQ(code_of_mail(wrong), 501) << wrong;
    }
    EXPECT_EQ(code_of_mail("ENVID=" + std::string(100, 'x')), 250);
    EXPECT_EQ(code_of_mail("ENVID=" + std::string(101, 'x')), 501);
    EXPECT_EQ(code_of_mail("BY=120;R"), 555);
    EXPECT_EQ(code_of_mail("REQUIRETLS", {}), 555);
    EXPECT_EQ(code_of_mail("AUTH=<>", {}), 555);
}

TEST(SmtpEnvelope, ReadsWhatASenderWantsToBeTold) {
    const auto notify = [](const std::string& list) {
        const auto rcpt = parse_rcpt_to("TO:<a@x.example> " + list, Utf8Addresses::refused);
        return rcpt ? int{rcpt->notify} : -1;
    };
    using namespace storage::notify;
    EXPECT_EQ(notify("NOTIFY=NEVER"), never);
    EXPECT_EQ(notify("notify=success,Delay"), success | delay);
    EXPECT_EQ(notify("NOTIFY=SUCCESS,FAILURE,DELAY"), success | failure | delay);
    for (const char* wrong :
         {"NOTIFY", "NOTIFY=", "NOTIFY=NEVER,DELAY", "NOTIFY=DELAY,DELAY", "NOTIFY=DELAY,",
          "NOTIFY=,DELAY", "NOTIFY=ALWAYS", "NOTIFY=NEVER NOTIFY=NEVER"}) {
        EXPECT_EQ(notify(wrong), -1) << wrong;
    }
}

TEST(SmtpEnvelope, ReadsTheOriginalRecipient) {
    const auto orcpt = [](const std::string& value, Utf8Addresses utf8) {
        const auto rcpt = parse_rcpt_to("TO:<a@x.example> ORCPT=" + value, utf8);
        return rcpt ? rcpt->orcpt : "refused";
    };
    EXPECT_EQ(orcpt("rfc822;a+2Bb@x.example", Utf8Addresses::refused), "rfc822;a+b@x.example");
    EXPECT_EQ(orcpt("utf-8;k\xc3\xa4te@x.example", Utf8Addresses::allowed),
              "utf-8;k\xc3\xa4te@x.example");
    EXPECT_EQ(orcpt("utf-8;k\xc3\xa4te@x.example", Utf8Addresses::refused), "refused");
    for (const char* wrong : {"", "rfc822", "rfc822;", ";a@x", "rfc 822;a", "rfc822;a=b",
                              "rfc822;a+0D+0Ab", "rfc822;a+2bb", "rfc822;k\xc3\xa4te@x.example"}) {
        EXPECT_EQ(orcpt(wrong, Utf8Addresses::allowed), "refused") << wrong;
    }
    EXPECT_EQ(code_of_rcpt("ORCPT=rfc822;" + std::string(493, 'x')), 250);
    EXPECT_EQ(code_of_rcpt("ORCPT=rfc822;" + std::string(494, 'x')), 501);
    EXPECT_EQ(code_of_rcpt("ORCPT=rfc822;a ORCPT=rfc822;a"), 501);
}

TEST(SmtpEnvelope, TakesUtf8AddressesOnlyWhereSmtpUtf8WasAskedFor) {
    const std::string to =
        "TO:<k\xc3\xa4te@b\xc3\xbc"
        "cher.example>";
    const auto refused = parse_rcpt_to(to, Utf8Addresses::refused);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, 553);
    EXPECT_EQ(refused.error().enhanced, "5.6.7");
    EXPECT_THAT(refused.error().text, HasSubstr("SMTPUTF8"));
    const auto taken = parse_rcpt_to(to, Utf8Addresses::allowed);
    ASSERT_TRUE(taken.has_value());
    EXPECT_EQ(taken->address, to.substr(4, to.size() - 5));
    EXPECT_EQ(taken->routing_domain, "xn--bcher-kva.example");
    EXPECT_FALSE(parse_rcpt_to("TO:<k\xc3@x.example>", Utf8Addresses::allowed).has_value());
}

}  // namespace
}  // namespace ingest
