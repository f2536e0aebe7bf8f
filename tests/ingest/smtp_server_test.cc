#include "ingest/smtp_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>

#include "tests/ingest/support/smtp_harness.h"

namespace ingest::smtp_testing {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const std::string transaction =
    "EHLO app.example\r\nMAIL FROM:<b@s.example>\r\nRCPT TO:<a@x.example>\r\nDATA\r\n";
const std::string mail_head = "From: b@s.example\r\nTo: a@x.example\r\nSubject: hi\r\n";

std::deque<std::string> octets(const std::string& text) {
    std::deque<std::string> segments;
    for (const char c : text) segments.emplace_back(1, c);
    return segments;
}

TEST(SmtpServer, QueuesAMessageAndNamesItsJob) {
    Harness h;
    const std::string said =
        h.talk({transaction, mail_head + "\r\n..dot\r\nbody\r\n.\r\n", "QUIT\r\n"});
    EXPECT_EQ(codes(said), "220 250 250 250 354 250 221");
    EXPECT_THAT(said, HasSubstr("250 2.0.0 queued as 0000000000001\r\n"));
    ASSERT_EQ(h.intake.parts.size(), 1u);
    const engine::JobPart& part = h.intake.parts[0];
    EXPECT_TRUE(part.last);
    EXPECT_EQ(part.job->job.sender, "b@s.example");
    EXPECT_EQ(part.job->job.tenant, "default");
    EXPECT_EQ(part.recipients.at(0).address, "a@x.example");
    EXPECT_EQ(part.recipients.at(0).routing_domain, "x.example");
    EXPECT_THAT(h.rendered(), EndsWith("\r\n\r\n.dot\r\nbody\r\n"));
    EXPECT_THAT(h.rendered(),
                HasSubstr("Received: from app.example ([127.0.0.1])\r\n\tby out1.example with "
                          "ESMTP id 0000000000001;\r\n\tSun, 22 Nov 2026 00:00:00 +0000\r\n"));
}

TEST(SmtpServer, SaysTheSameHoweverTheInputIsCut) {
    const std::string content = mail_head + "\r\n.\r\r\n";  // refused, and then closed
    const std::string good = mail_head + "\r\n..\r\nx\r\n.\r\n";
    const std::string rest =
        "MAIL FROM:<> SIZE=100 BODY=8BITMIME\r\nRCPT TO:<bad>\r\nRCPT TO:<a@x.example>\r\nDATA\r\n";
    Harness whole;
    const std::string said = whole.talk({transaction, good + rest, content + "QUIT\r\n"});
    EXPECT_EQ(codes(said), "220 250 250 250 354 250 250 553 250 354 550");
    Harness cut;
    EXPECT_EQ(cut.talk(octets(transaction + good + rest + content + "QUIT\r\n")), said);
    EXPECT_EQ(cut.intake.parts.size(), 1u);
}

TEST(SmtpServer, Says250OnlyAfterTheIntakeHasIt) {
    Harness h;
    std::string before;
    h.intake.on_accept = [&] { before = h.seen.output; };
    const std::string said = h.talk({transaction, mail_head + "\r\nx\r\n.\r\n"});
    EXPECT_EQ(codes(before), "220 250 250 250 354");
    EXPECT_EQ(codes(said), "220 250 250 250 354 250");
}

TEST(SmtpServer, TakesSeveralMessagesInOneSession) {
    Harness h;
    const std::string next = "MAIL FROM:<b@s.example>\r\nRCPT TO:<c@x.example>\r\nDATA\r\n";
    h.talk({transaction, mail_head + "\r\none\r\n.\r\n" + next, mail_head + "\r\ntwo\r\n.\r\n"});
    ASSERT_EQ(h.intake.parts.size(), 2u);
    EXPECT_EQ(h.intake.parts[1].recipients.at(0).address, "c@x.example");
    EXPECT_THAT(h.rendered(1), EndsWith("two\r\n"));
}

/// Thirteen things that some server somewhere takes for the end of the content. None of them may
/// end it here, and what is behind them may never become a message of its own.
TEST(SmtpServer, LetsNobodySmuggleASecondMessage) {
    const std::string lookalikes[] = {"\n.\n",
                                      "\n.\r\n",
                                      "\r\n.\n",
                                      "\r.\r",
                                      "\r.\r\n",
                                      "\r\n.\r",
                                      "\n.\r",
                                      "\r.\n",
                                      "\r\n.\r\r\n",
                                      "\r\n\r.\r\n",
                                      "\r\n. \r\n",
                                      "\r\n.\t\r\n",
                                      std::string("\r\n.\0\r\n", 6)};
    const std::string hidden =
        "MAIL FROM:<evil@s.example>\r\nRCPT TO:<victim@x.example>\r\nDATA\r\n" + mail_head +
        "\r\nforged\r\n.\r\n";
    int inputs = 0;
    for (const std::string& lookalike : lookalikes) {
        const std::string content = mail_head + "\r\nhello" + lookalike + hidden;
        for (size_t cut = 0; cut <= content.size(); ++cut, ++inputs) {
            Harness h;
            h.talk({transaction, content.substr(0, cut), content.substr(cut)});
            ASSERT_LE(h.intake.parts.size(), 1u) << ::testing::PrintToString(lookalike) << cut;
            if (h.intake.parts.empty()) continue;
            ASSERT_EQ(h.intake.parts[0].job->job.sender, "b@s.example");
            ASSERT_THAT(h.rendered(), HasSubstr("MAIL FROM:<evil@s.example>"));
        }
    }
    EXPECT_GE(inputs, 2000);
}

TEST(SmtpServer, RefusesBareLineEndsAndCloses) {
    for (const char* line : {"NOOP\n", "NOOP\rNOOP\r\n", "MAIL FROM:<a@x.example>\nNOOP\r\n"}) {
        Harness h;
        const std::string said = h.talk({"EHLO a.example\r\n", std::string(line) + "NOOP\r\n"});
        EXPECT_EQ(codes(said), "220 250 500") << line;
        EXPECT_TRUE(h.seen.closed);
    }
}

TEST(SmtpServer, RefusesContentThatDidNotWaitFor354) {
    Harness h;
    const std::string said = h.talk({transaction + mail_head + "\r\nx\r\n.\r\n"});
    EXPECT_EQ(codes(said), "220 250 250 250 554");
    EXPECT_TRUE(h.intake.parts.empty());
}

TEST(SmtpServer, TakesOptionsOutOfTheHeader) {
    Harness h;
    const std::string options =
        "X-Sluice-Tenant: acme\r\nx-sluice-campaign:  nov \r\nX-Sluice-Class: transactional\r\n"
        "X-Sluice-Pool: default\r\nX-Sluice-Send-At:\r\n 2026-11-23T10:00:00Z\r\n";
    h.talk({transaction, options + mail_head + "\r\nX-Sluice-Tenant: in the body\r\n.\r\n"});
    ASSERT_EQ(h.intake.parts.size(), 1u);
    const engine::OpenJob& open = *h.intake.parts[0].job;
    EXPECT_EQ(open.job.tenant, "acme");
    EXPECT_EQ(open.job.campaign, "nov");
    EXPECT_EQ(open.job.klass, storage::Class::transactional);
    ASSERT_TRUE(open.send_at);
    EXPECT_EQ(*open.send_at - h.intake.now(), std::chrono::hours(34));
    const std::string mail = h.rendered();
    EXPECT_THAT(mail, EndsWith("\r\n\r\nX-Sluice-Tenant: in the body\r\n"));
    EXPECT_THAT(mail.substr(0, mail.find("\r\n\r\n")), Not(HasSubstr("luice-")));
}

TEST(SmtpServer, NamesAllWrongOptionsAtOnce) {
    Harness h;
    const std::string options =
        "X-Sluice-Class: urgent\r\nX-Sluice-Pool: gold\r\nX-Sluice-Sendat: now\r\n"
        "X-Sluice-Send-At: tomorrow\r\nX-Sluice-Tenant: a b\r\nX-Sluice-Tenant: c\r\n";
    const std::string said = h.talk({transaction, options + mail_head + "\r\nx\r\n.\r\n"});
    EXPECT_THAT(said, HasSubstr("554-5.6.0 X-Sluice-Class: wants transactional or bulk\r\n"));
    EXPECT_THAT(said, HasSubstr("554-5.6.0 X-Sluice-Pool: there is no such pool"));
    EXPECT_THAT(said, HasSubstr("554-5.6.0 X-Sluice-Sendat: is not known"));
    EXPECT_THAT(said, HasSubstr("554-5.6.0 X-Sluice-Send-At: "));
    EXPECT_THAT(said, HasSubstr("554-5.6.0 X-Sluice-Tenant: wants 1 to 64"));
    EXPECT_THAT(said, HasSubstr("554 5.6.0 X-Sluice-Tenant: is given twice\r\n"));
    EXPECT_TRUE(h.intake.parts.empty());
}

TEST(SmtpServer, RefusesAMailThatGoesRoundInALoop) {
    Harness h;
    std::string received;
    for (int i = 0; i < 100; ++i)
        received += "Received: from a by b; Sun, 22 Nov 2026 00:00:00 +0000\r\n";
    EXPECT_THAT(h.talk({transaction, received + mail_head + "\r\nx\r\n.\r\n"}),
                HasSubstr("554 5.4.6 "));
    const std::string one_less = received.substr(received.find('\n') + 1);
    EXPECT_THAT(h.talk({transaction, one_less + mail_head + "\r\nx\r\n.\r\n"}),
                HasSubstr("250 2.0.0 queued"));
}

struct Exchange {
    const char* input;
    const char* codes;  // behind the banner
    const char* text = "";
};

void PrintTo(const Exchange& e, std::ostream* out) {
    *out << e.codes;
}

class SmtpServerAnswers : public ::testing::TestWithParam<Exchange> {};

TEST_P(SmtpServerAnswers, ByTheBook) {
    Harness h;
    const std::string said = h.talk({GetParam().input});
    EXPECT_EQ(codes(said), "220 " + std::string(GetParam().codes)) << GetParam().input;
    EXPECT_THAT(said, HasSubstr(GetParam().text));
}

constexpr Exchange exchanges[] = {
    {"EHLO a.example\r\n", "250", "250-PIPELINING\r\n250-SIZE 52428800\r\n250-8BITMIME\r\n"},
    {"ehlo [127.0.0.1]\r\nquit\r\n", "250 221"},
    {"HELO a.example\r\nMAIL FROM:<b@s.example>\r\n", "250 250"},
    {"EHLO\r\n", "501"},
    {"EHLO a.example;x\r\n", "501"},
    {"MAIL FROM:<b@s.example>\r\n", "503", "EHLO comes first"},
    {"EHLO a\r\nRCPT TO:<b@s.example>\r\n", "250 503", "MAIL comes first"},
    {"EHLO a\r\nDATA\r\n", "250 503"},
    {"EHLO a\r\nMAIL FROM:<>\r\nDATA\r\n", "250 250 503", "no valid recipients"},
    {"EHLO a\r\nMAIL FROM:<>\r\nMAIL FROM:<>\r\n", "250 250 503"},
    {"EHLO a\r\nMAIL FROM:<>\r\nRSET\r\nMAIL FROM:<>\r\n", "250 250 250 250"},
    {"EHLO a\r\nMAIL FROM:<>\r\nEHLO a\r\nMAIL FROM:<>\r\n", "250 250 250 250"},
    {"EHLO a\r\nMAIL FROM: <b@s.example>\r\n", "250 501", "no space may stand"},
    {"EHLO a\r\nMAIL FROM:b@s.example\r\n", "250 501"},
    {"EHLO a\r\nMAIL FROM:<b@s.example\r\n", "250 501"},
    {"EHLO a\r\nMAIL FROM:<b@s.example>SIZE=1\r\n", "250 501"},
    {"EHLO a\r\nMAIL FROM:<b@s.example>  SIZE=1\r\n", "250 501"},
    {"EHLO a\r\nMAIL <b@s.example>\r\n", "250 501"},
    {"EHLO a\r\nMAIL\r\n", "250 501"},
    {"EHLO a\r\nMAIL FROM:<b@s.example> SIZE=52428800\r\n", "250 250"},
    {"EHLO a\r\nMAIL FROM:<b@s.example> SIZE=52428801\r\n", "250 552"},
    {"EHLO a\r\nMAIL FROM:<b@s.example> SIZE=99999999999999999999\r\n", "250 552"},
    {"EHLO a\r\nMAIL FROM:<b@s.example> SIZE=999999999999999999999\r\n", "250 501"},
    {"EHLO a\r\nMAIL FROM:<b@s.example> SIZE=-1\r\n", "250 501"},
    {"EHLO a\r\nMAIL FROM:<b@s.example> SIZE=0x10\r\n", "250 501"},
    {"EHLO a\r\nMAIL FROM:<b@s.example> SIZE=\r\n", "250 501"},
    {"EHLO a\r\nMAIL FROM:<b@s.example> SIZE=1 SIZE=2\r\n", "250 501"},
    {"EHLO a\r\nMAIL FROM:<b@s.example> body=8bitmime size=7\r\n", "250 250"},
    {"EHLO a\r\nMAIL FROM:<b@s.example> BODY=BINARYMIME\r\n", "250 501"},
    {"EHLO a\r\nMAIL FROM:<b@s.example> XYZ=1\r\n", "250 555"},
    {"EHLO a\r\nMAIL FROM:<b@s.example> REQUIRETLS\r\n", "250 555", "5.7.10"},
    {"EHLO a\r\nMAIL FROM:<k\xc3\xa4te@s.example>\r\n", "250 553", "5.6.7"},
    {"EHLO a\r\nMAIL FROM:<nobody>\r\n", "250 553", "5.1.7"},
    {"EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<>\r\n", "250 250 553", "5.1.3"},
    {"EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@x.example> XYZ\r\n", "250 250 555"},
    {"EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<\"a>b\"@x.example>\r\n", "250 250 553"},
    {"EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<@relay.example:a@x.example>\r\n", "250 250 553"},
    {"EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@x.example>\r\nRSET\r\nDATA\r\n", "250 250 250 250 503"},
    {"NOOP\r\nNOOP with words\r\nnoop \r\n", "250 250 250"},
    {"VRFY a@x.example\r\nHELP\r\n", "252 214"},
    {"AUTH PLAIN AGEAYg==\r\nSTARTTLS\r\nETRN x\r\nEXPN x\r\n", "502 502 502 502"},
    {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "554"},
    {"EHLO a\r\nPOST / HTTP/1.1\r\nQUIT\r\n", "250 554"},
    {"FOO\r\n\r\nMAILX\r\n", "500 500 500"},
    {"RSET x\r\nDATA x\r\n", "501 501"},
    {"NOOP \x01\r\nNOOP \x7f\r\n", "500 500"},
    {"QUIT\r\nNOOP\r\n", "221"},
};
INSTANTIATE_TEST_SUITE_P(Commands, SmtpServerAnswers, ::testing::ValuesIn(exchanges));

TEST(SmtpServer, RefusesLongCommandsAndStaysInStep) {
    Harness h;
    const std::string longest = "NOOP " + std::string(SmtpLimits::command_octets_max - 6, 'x');
    EXPECT_EQ(codes(h.talk({longest + "\r\n" + longest + "xxx\r\nNOOP\r\n"})), "220 250 500 250");
    EXPECT_EQ(codes(h.talk({std::string(100'000, 'x')})), "220 421");
}

TEST(SmtpServer, EndsASessionOfErrors) {
    Harness h;
    std::string input;
    for (size_t i = 0; i < 100; ++i) input += "FOO\r\n";
    const std::string said = h.talk({input});
    EXPECT_THAT(said, HasSubstr("421 4.3.2 out1.example too many errors"));
    EXPECT_EQ(std::ranges::count(said, '\n'), ptrdiff_t(1 + SmtpLimits::errors_max + 1));
}

TEST(SmtpServer, KeepsASessionWithManyBadRecipients) {
    Harness h;
    std::string input = "EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@x.example>\r\n";
    for (size_t i = 0; i < 100; ++i) input += "RCPT TO:<bad>\r\n";
    EXPECT_THAT(h.talk({input + "DATA\r\n", mail_head + "\r\nx\r\n.\r\n"}),
                HasSubstr("250 2.0.0 queued"));
}

TEST(SmtpServer, TakesTenThousandRecipientsAndNotOneMore) {
    Harness h;
    std::string input = "EHLO a\r\nMAIL FROM:<>\r\n";
    for (size_t i = 0; i <= SmtpLimits::recipients_max; ++i) input += "RCPT TO:<a@x.example>\r\n";
    const std::string said = h.talk({input + "DATA\r\n", mail_head + "\r\nx\r\n.\r\n"});
    EXPECT_THAT(said, HasSubstr("452 4.5.3 "));
    EXPECT_EQ(h.intake.parts.at(0).recipients.size(), SmtpLimits::recipients_max);
}

TEST(SmtpServer, RefusesAMessageThatIsTooLargeAndStaysInStep) {
    Harness h;
    const std::string line = std::string(998, 'x') + "\r\n";
    std::deque<std::string> segments = {transaction, mail_head + "\r\n"};
    for (int i = 0; i < 52'500; ++i) segments.push_back(line);
    segments.push_back(".\r\nNOOP\r\n");
    EXPECT_EQ(codes(h.talk(std::move(segments))), "220 250 250 250 354 552 250");
    EXPECT_TRUE(h.intake.parts.empty());
}

TEST(SmtpServer, CompilesALargeMessageOnTheWorker) {
    Harness h;
    std::string body;
    for (int i = 0; i < 1000; ++i) body += std::string(100, 'x') + "\r\n";
    h.talk({transaction, mail_head + "\r\n" + body + ".\r\n"});
    EXPECT_EQ(h.worker.runs, 1u);
    EXPECT_THAT(h.rendered(), EndsWith(body));
}

TEST(SmtpServer, PassesOnWhyTheIntakeRefuses) {
    Harness h;
    h.intake.refuses = engine::Refusal{engine::Refusal::Why::disk_low, "queue.free_disk_min",
                                       "the disk is low", std::chrono::seconds(30)};
    EXPECT_THAT(
        h.talk({transaction, mail_head + "\r\nx\r\n.\r\n"}),
        HasSubstr("452 4.3.1 the disk is low (queue.free_disk_min); try again in 30 s\r\n"));
    h.intake.refuses_early = h.intake.refuses;
    EXPECT_EQ(codes(h.talk({"EHLO a\r\nMAIL FROM:<>\r\n"})), "220 250 452");
    h.intake.refuses_early->why = engine::Refusal::Why::draining;
    EXPECT_EQ(codes(h.talk({"EHLO a\r\nMAIL FROM:<>\r\nNOOP\r\n"})), "220 250 421");
}

TEST(SmtpServer, TakesMailOfTrustedPeersOnly) {
    for (const char* peer : {"192.0.2.7:40000", "[2001:db8::1]:40000", "10.0.0.1:1", "",
                             "[::ffff:192.0.2.7]:1", "128.0.0.1:25"}) {
        Harness h;
        h.peer = peer;
        EXPECT_EQ(codes(h.talk({"", transaction})), "220 250 530 503 503") << peer;
    }
    for (const char* peer :
         {"[::1]:40000", "unix:/run/sluice/smtp.sock", "[::ffff:127.0.0.1]:9", "127.9.9.9:1"}) {
        Harness h;
        h.peer = peer;
        EXPECT_EQ(codes(h.talk({transaction})), "220 250 250 250 354") << peer;
    }
    Harness h;
    h.context.access.trusted = {engine::AddressRange::parse("192.0.2.0/24").value()};
    h.peer = "192.0.2.7:40000";
    EXPECT_EQ(codes(h.talk({transaction})), "220 250 250 250 354");
    h.peer = "127.0.0.1:40000";
    EXPECT_EQ(codes(h.talk({"", transaction})), "220 250 530 503 503");
}

TEST(SmtpServer, GivesStrangersNoTime) {
    Harness h;
    h.peer = "192.0.2.7:40000";
    EXPECT_EQ(codes(h.talk({"EHLO a\r\n"})), "554") << "spoke before the greeting";
    const engine::Instant begin = h.clock.now();
    EXPECT_EQ(codes(h.talk({"", "EHLO a\r\n"}, MemoryStream::End::silent)), "220 250 421");
    EXPECT_EQ(h.clock.now() - begin, SmtpLimits::login);
    std::string noops = "EHLO a\r\n";
    for (int i = 0; i < 100; ++i) noops += "NOOP\r\n";
    const std::string said = h.talk({"", noops});
    EXPECT_THAT(said, HasSubstr("421 4.3.2 out1.example too many commands"));
    EXPECT_EQ(std::ranges::count(said, '\n'),
              ptrdiff_t(1 + 9 + SmtpLimits::commands_before_login_max - 1 + 1));
}

TEST(SmtpServer, EndsASessionThatHandsOverNothing) {
    Harness h;
    std::string noops;
    for (int i = 0; i < 2000; ++i) noops += "NOOP\r\n";
    EXPECT_THAT(h.talk({noops}), HasSubstr("421 4.3.2 out1.example too many commands"));
    std::string refused = "EHLO a\r\nMAIL FROM:<>\r\n";
    for (size_t i = 0; i < 20'000; ++i) refused += "RCPT TO:<bad>\r\nRCPT TO:<a@x.example>\r\n";
    EXPECT_THAT(h.talk({refused}), HasSubstr("421 4.3.2 out1.example too many recipients"));
}

/// However many octets come at a time, and however often.
TEST(SmtpServer, EndsAMessageThatComesTooSlowly) {
    Harness h;
    std::deque<std::string> drip(10'000, "x");
    drip.push_front(transaction);
    h.gap = std::chrono::milliseconds(500);
    const engine::Instant begin = h.clock.now();
    EXPECT_EQ(codes(h.talk(drip)), "220 250 250 250 354 421");
    EXPECT_LE(h.clock.now() - begin, SmtpLimits::content_grace + std::chrono::seconds(5));
}

TEST(SmtpServer, Gives421WhileItDrains) {
    Harness h;
    h.draining = true;
    EXPECT_EQ(codes(h.talk({transaction})), "421");
    h.draining = false;
    h.intake.on_accept = [&] { h.draining = true; };  // in the middle of a message
    const std::string said =
        h.talk({transaction, mail_head + "\r\nx\r\n.\r\n"}, MemoryStream::End::silent);
    EXPECT_EQ(codes(said), "220 250 250 250 354 250 421");
}

TEST(SmtpServer, EndsAnIdleSession) {
    Harness h;
    const engine::Instant begin = h.clock.now();
    const std::string said = h.talk({"EHLO a\r\n"}, MemoryStream::End::silent);
    EXPECT_EQ(codes(said), "220 250 421");
    EXPECT_EQ(h.clock.now() - begin, SmtpLimits::idle);
    EXPECT_EQ(codes(h.talk({"EHLO a\r\nNO"}, MemoryStream::End::silent)), "220 250 421");
    EXPECT_EQ(codes(h.talk({transaction, "half"}, MemoryStream::End::silent)),
              "220 250 250 250 354 421");
}

TEST(SmtpServer, KeepsNothingOfAMessageThatWasCutOff) {
    Harness h;
    EXPECT_EQ(codes(h.talk({transaction, mail_head + "\r\nx\r\n."})), "220 250 250 250 354");
    EXPECT_EQ(codes(h.talk({transaction, mail_head + "\r\nx\r\n.\r"})), "220 250 250 250 354");
    EXPECT_TRUE(h.intake.parts.empty());
}

}  // namespace
}  // namespace ingest::smtp_testing
