// Who may submit: AUTH, and what strangers get.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>

#include "engine/message/encode.h"
#include "tests/ingest/support/smtp_harness.h"

namespace ingest::smtp_testing {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

/// SHA-512 with few rounds: quick.
const Credential ann{
    "ann",
    "$6$rounds=1000$saltsalt$"
    "LAV5VE5Y7w1d73x1mFNspYWUpazfmwv2SoepNXNKJ/otop/Zok96Hr8Q13LEv0DRY/x8v0/crpIjl8NJSAqXV/",
    "acme"};

std::string plain(const std::string& user, const std::string& password,
                  const std::string& acts_for = "") {
    return engine::base64(acts_for + '\0' + user + '\0' + password);
}

const std::string ehlo = "EHLO app.example\r\n";
const std::string log_in = ehlo + "AUTH PLAIN " + plain("ann", "secret") + "\r\n";
const std::string envelope = "MAIL FROM:<b@s.example>\r\nRCPT TO:<a@x.example>\r\nDATA\r\n";
const std::string mail = "From: b@s.example\r\nSubject: hi\r\n\r\nx\r\n.\r\n";

struct SmtpLogin : ::testing::Test {
    Harness h;
    SmtpLogin() { h.know({ann}); }
};

TEST_F(SmtpLogin, IsOfferedWhereNobodyListens) {
    EXPECT_THAT(h.talk({ehlo}), HasSubstr("250 AUTH PLAIN LOGIN\r\n"));
    h.peer = "unix:/run/sluice/smtp.sock";
    EXPECT_THAT(h.talk({ehlo}), HasSubstr("AUTH PLAIN LOGIN"));
    h.peer = "192.0.2.7:40000";
    const std::string said = h.talk({"", log_in + "MAIL FROM:<>\r\n"});
    EXPECT_EQ(codes(said), "220 250 538 530");
    EXPECT_THAT(said, Not(HasSubstr("AUTH PLAIN")));
    EXPECT_EQ(h.logins->evaluated(), 0u);
}

TEST_F(SmtpLogin, MakesTheSessionTheTenants) {
    EXPECT_EQ(codes(h.talk({log_in, envelope, mail})), "220 250 235 250 250 354 250");
    ASSERT_EQ(h.intake.parts.size(), 1u);
    EXPECT_EQ(h.intake.parts[0].job->job.tenant, "acme");
    EXPECT_THAT(h.rendered(), ::testing::StartsWith("Received: by out1.example with ESMTPA id "));
    EXPECT_THAT(h.rendered(), Not(HasSubstr("app.example"))) << "where from is not told";
}

TEST_F(SmtpLogin, LetsNobodySpeakForAnotherTenant) {
    EXPECT_THAT(h.talk({log_in, envelope, "X-Sluice-Tenant: other\r\n" + mail}),
                HasSubstr("554 5.6.0 X-Sluice-Tenant: this login is another tenant's"));
    EXPECT_TRUE(h.intake.parts.empty());
    EXPECT_THAT(h.talk({log_in, envelope, "X-Sluice-Tenant: acme\r\n" + mail}),
                HasSubstr("250 2.0.0 queued"));
    EXPECT_THAT(h.talk({ehlo, envelope, "X-Sluice-Tenant: other\r\n" + mail}),
                HasSubstr("250 2.0.0 queued"))
        << "a trusted host may";
}

/// What comes behind the client's EHLO, with pauses where it waits, and the answers' codes.
struct Talk {
    std::deque<std::string> segments;
    const char* codes;
};
void PrintTo(const Talk& talk, std::ostream* out) {
    for (const auto& s : talk.segments) *out << s;
}
class SmtpLoginTalks : public ::testing::TestWithParam<Talk> {};

TEST_P(SmtpLoginTalks, ByTheBook) {
    Harness h;
    h.know({ann});
    auto segments = GetParam().segments;
    segments.push_front(ehlo);
    const std::string said = codes(h.talk(std::move(segments)));
    EXPECT_EQ(said, *GetParam().codes ? "220 250 " + std::string(GetParam().codes) : "220 250");
}

const Talk talks[] = {
    {{"AUTH PLAIN " + plain("ann", "secret") + "\r\n", "NOOP\r\n"}, "235 250"},
    {{"auth plain " + plain("ann", "secret", "ann") + "\r\n"}, "235"},
    {{"AUTH PLAIN\r\n", plain("ann", "secret") + "\r\n"}, "334 235"},
    {{"AUTH LOGIN\r\n", "YW5u\r\n", "c2VjcmV0\r\n"}, "334 334 235"},
    {{"AUTH LOGIN YW5u\r\n", "c2VjcmV0\r\n"}, "334 235"},
    {{"AUTH PLAIN " + plain("ann", "wrong") + "\r\n", "", "NOOP\r\n"}, "535 250"},
    {{"AUTH PLAIN " + plain("eve", "secret") + "\r\n", ""}, "535"},
    {{"AUTH PLAIN " + plain("ann", "secret", "eve") + "\r\n"}, "501"},
    {{"AUTH PLAIN " + plain("ann", std::string("sec\0ret", 7)) + "\r\n"}, "501"},
    {{"AUTH PLAIN " + plain("", "secret") + "\r\n"}, "501"},
    {{"AUTH PLAIN =\r\n"}, "501"},
    {{"AUTH PLAIN AGFubgBzZWNyZXQ\r\n"}, "501"},
    {{"AUTH PLAIN AGFu bgBzZWNyZXQ=\r\n"}, "501"},
    {{"AUTH PLAIN ****\r\n"}, "501"},
    {{"AUTH PLAIN\r\n", "*\r\n", "NOOP\r\n"}, "334 501 250"},
    {{"AUTH LOGIN\r\n", "YW5u\r\n", "*\r\n", "NOOP\r\n"}, "334 334 501 250"},
    {{"AUTH LOGIN\r\n", "=\r\n", "=\r\n", "", "NOOP\r\n"}, "334 334 535 250"},
    {{"AUTH PLAIN\r\n", std::string(5'000, 'A') + "\r\n", "NOOP\r\n"}, "334 500"},
    {{"AUTH PLAIN\r\n", "QQ==\n", "NOOP\r\n"}, "334 500"},
    {{"AUTH\r\n"}, "504"},
    {{"AUTH CRAM-MD5\r\n"}, "504"},
    {{"AUTH PLAINX " + plain("ann", "secret") + "\r\n"}, "504"},
    {{"AUTH PLAIN " + plain("ann", "secret") + "\r\nMAIL FROM:<>\r\n"}, "554"},
    {{"AUTH PLAIN\r\n" + plain("ann", "secret") + "\r\n"}, "554"},
    {{"AUTH PLAIN\r\n", plain("ann", "wrong") + "\r\nNOOP\r\n"}, "334 554"},
    {{"AUTH LOGIN\r\n", "YW5u\r\nc2VjcmV0\r\n"}, "334 554"},
    {{"AUTH PLAIN " + plain("ann", "secret") + "\r\n", "AUTH PLAIN =\r\n"}, "235 503"},
    {{"MAIL FROM:<>\r\n", "AUTH PLAIN " + plain("ann", "secret") + "\r\n"}, "250 503"},
    {{"HELO a\r\n", "AUTH PLAIN " + plain("ann", "secret") + "\r\n"}, "250 503"},
    {{"AUTH PLAIN " + plain("ann", "1") + "\r\n", "", "AUTH PLAIN " + plain("ann", "2") + "\r\n",
      "", "AUTH PLAIN " + plain("ann", "3") + "\r\n", "", "NOOP\r\n"},
     "535 535 535 421"},
    // Who does not wait for the answer to a wrong password is gone.
    {{"AUTH PLAIN " + plain("ann", "1") + "\r\n", "AUTH PLAIN " + plain("ann", "2") + "\r\n"}, ""},
};
INSTANTIATE_TEST_SUITE_P(Auth, SmtpLoginTalks, ::testing::ValuesIn(talks));

TEST_F(SmtpLogin, AnswersEveryWrongGuessAtTheSameTime) {
    for (const std::string& response : {plain("ann", "wrong"), plain("eve", "wrong")}) {
        const engine::Instant begin = h.clock.now();
        h.talk({ehlo, "AUTH PLAIN " + response + "\r\n", "", "QUIT\r\n"});
        EXPECT_EQ(h.clock.now() - begin, SmtpLimits::login_answer);
    }
}

TEST_F(SmtpLogin, TellsWhoHasGuessedTooOftenToWait) {
    for (int i = 0; i < 5; ++i) h.talk({ehlo, "AUTH PLAIN " + plain("ann", "guess") + "\r\n", ""});
    const std::string said = h.talk({log_in, ""});
    EXPECT_THAT(said, HasSubstr("454 4.7.0 too many wrong passwords; try again in "));
    EXPECT_EQ(codes(h.talk({ehlo, envelope, mail})), "220 250 250 250 354 250")
        << "a trusted host needs no login";
}

/// RFC 5321 says what a path is; relays were opened by what else a server took for one.
TEST(SmtpStrangers, RelayNothingHoweverTheAddressIsWritten) {
    const std::string forms[] = {"<v@x.example>",
                                 "<v%x.example@out1.example>",
                                 "<x.example!v>",
                                 "<x.example!v@out1.example>",
                                 "<@out1.example:v@x.example>",
                                 "<@a,@b:v@x.example>",
                                 "<\"v@x.example\">",
                                 "<\"v@x.example\"@out1.example>",
                                 "<\"v%x.example\"@out1.example>",
                                 "<v@[192.0.2.1]>",
                                 "<v@[127.0.0.1]>",
                                 "<v@[IPv6:::1]>",
                                 "<v@localhost>",
                                 "<v@out1.example>",
                                 "<v>",
                                 "<>",
                                 "<postmaster>",
                                 "<Postmaster@out1.example>",
                                 "v@x.example",
                                 "<v@x.example>, <w@x.example>",
                                 "<v@x.example@out1.example>",
                                 "<v(comment)@x.example>",
                                 "<v @x.example>",
                                 "<v@x.example.>",
                                 "<k\xc3\xa4te@x.example>",
                                 "<v@b\xc3\xbc"
                                 "cher.example>",
                                 "<v@xn--bcher-kva.example>",
                                 "<+v@x.example>",
                                 "<\"\"@x.example>",
                                 "<v@x.example> NOTIFY=NEVER",
                                 "<|/bin/sh@x.example>",
                                 "<v\\@x.example@out1.example>"};
    EXPECT_GE(std::size(forms), 30u);
    for (const char* sender :
         {"<>", "<b@out1.example>", "<root@localhost>", "<b@s.example> SMTPUTF8"}) {
        for (const std::string& form : forms) {
            Harness h;
            h.peer = "192.0.2.7:40000";
            h.know({ann});
            const std::string said = h.talk(
                {"", ehlo + "MAIL FROM:" + sender + "\r\nRCPT TO:" + form + "\r\nDATA\r\n", mail});
            EXPECT_TRUE(h.intake.parts.empty()) << form;
            EXPECT_THAT(codes(said), ::testing::StartsWith("220 250 530 503 503")) << form;
        }
    }
}

TEST(SmtpStrangers, AreToldHowToLogIn) {
    Harness h;
    h.peer = "192.0.2.7:40000";
    EXPECT_THAT(h.talk({"", ehlo + "MAIL FROM:<>\r\n"}), HasSubstr("from trusted hosts only"));
    EXPECT_THAT(h.talk({"", ehlo + "BDAT 6 LAST\r\nNOOP\r\nQUIT\r\n"}), HasSubstr("503 5.5.1"));
    EXPECT_TRUE(h.intake.parts.empty());
}

}  // namespace
}  // namespace ingest::smtp_testing
