// BDAT as its worst users send it: numbers that are none, content that looks like commands,
// commands that come where content should.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/ingest/support/smtp_harness.h"

namespace ingest::smtp_testing {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

const std::string open = "EHLO app.example\r\nMAIL FROM:<b@s.example>\r\nRCPT TO:<a@x.example>\r\n";
const std::string message =
    "From: b@s.example\r\nTo: a@x.example\r\nSubject: hi\r\n\r\n.\r\n..two\r\nend\r\n";

std::string chunk(std::string_view octets, bool last = true) {
    return "BDAT " + std::to_string(octets.size()) + (last ? " LAST\r\n" : "\r\n") +
           std::string(octets);
}

TEST(SmtpBdat, TakesAMessageInOneWriteWithItsEnvelope) {
    Harness h;
    const std::string said = h.talk({open + chunk(message) + open.substr(18) + chunk(message)});
    EXPECT_EQ(codes(said), "220 250 250 250 250 250 250 250");
    ASSERT_EQ(h.intake.parts.size(), 2u);
    EXPECT_THAT(h.rendered(1), EndsWith("\r\n\r\n.\r\n..two\r\nend\r\n")) << "nothing is unstuffed";
}

TEST(SmtpBdat, TakesAMessageHoweverItIsCut) {
    for (size_t first = 0; first <= message.size(); ++first) {
        Harness h;
        const std::string input = open + chunk(message.substr(0, first), false) +
                                  chunk(message.substr(first), false) + "BDAT 0 LAST\r\nNOOP\r\n";
        std::deque<std::string> segments;
        for (size_t at = 0; at < input.size(); at += 1 + first % 7)
            segments.push_back(input.substr(at, 1 + first % 7));
        EXPECT_EQ(codes(h.talk(segments)), "220 250 250 250 250 250 250 250");
        ASSERT_EQ(h.intake.parts.size(), 1u);
        ASSERT_THAT(h.rendered(), EndsWith(message.substr(message.find("\r\n\r\n"))));
    }
}

/// Whoever cannot say how much follows has said nothing that may be read as commands.
TEST(SmtpBdat, ClosesAtANumberThatIsNone) {
    const std::string forms[] = {"BDAT",
                                 "BDAT ",
                                 "BDAT  5",
                                 "BDAT -1",
                                 "BDAT -0",
                                 "BDAT +1",
                                 "BDAT 0x10",
                                 "BDAT 1e3",
                                 "BDAT 5.0",
                                 "BDAT 5,0",
                                 "BDAT 5 LAST x",
                                 "BDAT 5 LASTLAST",
                                 "BDAT 5  LAST",
                                 "BDAT 5 FIRST",
                                 "BDAT LAST",
                                 "BDAT LAST 5",
                                 "BDAT 5LAST",
                                 "BDAT five",
                                 "BDAT 1000000000000000000000000000000",
                                 "BDAT 100000000000000000000",
                                 "BDAT 18446744073709551616 x",
                                 "BDAT \xd9\xa5",
                                 "BDAT 5\t",
                                 "BDAT\t5",
                                 "BDAT 5\x01",
                                 "BDAT \"5\"",
                                 "BDAT =5",
                                 "BDAT 0b1",
                                 "BDAT 5;LAST",
                                 "BDAT 5/LAST",
                                 "BDAT 5 LAST=1",
                                 "bdat -5 last",
                                 "BDAT 00000000000000000000005",
                                 "BDAT 5 5",
                                 "BDAT 0 0 LAST",
                                 "BDATA 5",
                                 "BDAT5",
                                 "BDAT " + std::string(5000, '1')};
    EXPECT_GE(std::size(forms), 38u);
    for (const std::string& form : forms) {
        Harness h;
        const std::string said = h.talk(
            {open + form + "\r\nMAIL FROM:<evil@s.example>\r\nRSET\r\n" + open + chunk(message)});
        EXPECT_THAT(codes(said), ::testing::AnyOf("220 250 250 250 501", "220 250 250 250 500"))
            << form;
        EXPECT_TRUE(h.seen.closed) << form;
        EXPECT_TRUE(h.intake.parts.empty()) << form;
    }
}

TEST(SmtpBdat, ClosesAtANumberThatNoMessageHas) {
    for (const char* octets :
         {"104857601", "2147483648", "4294967295", "9223372036854775808", "18446744073709551615",
          "18446744073709551616", "99999999999999999999"}) {
        for (const char* last : {"", " LAST"}) {
            Harness h;
            EXPECT_EQ(codes(h.talk({open + "BDAT " + octets + last + "\r\nNOOP\r\nNOOP\r\n"})),
                      "220 250 250 250 552")
                << octets;
            EXPECT_TRUE(h.seen.closed);
        }
    }
}

TEST(SmtpBdat, SkipsTheOctetsOfARefusedChunkAndForgetsTheTransaction) {
    const std::string commands = "MAIL FROM:<evil@s.example>\r\nQUIT\r\n";
    struct Case {
        std::string before, codes;
    };
    const Case cases[] = {
        {"", "503"},
        {"EHLO a\r\n", "250 503"},
        {"EHLO a\r\nMAIL FROM:<b@s.example>\r\n", "250 250 503"},
        {"EHLO a\r\nMAIL FROM:<b@s.example>\r\nRCPT TO:<bad>\r\n", "250 250 553 503"},
    };
    for (const Case& c : cases) {
        Harness h;
        const std::string said =
            h.talk({c.before + chunk(commands) + chunk(commands) + "NOOP\r\n"});
        EXPECT_EQ(codes(said), "220 " + c.codes + " 503 250") << c.before;
        EXPECT_TRUE(h.intake.parts.empty());
    }
    Harness h;  // and the next transaction is a clean one
    h.talk({"EHLO a\r\nMAIL FROM:<x@s.example>\r\n" + chunk(commands) + open + chunk(message)});
    ASSERT_EQ(h.intake.parts.size(), 1u);
    EXPECT_EQ(h.intake.parts[0].job->job.sender, "b@s.example");
}

TEST(SmtpBdat, RefusesAMessageThatGrowsTooLargeAndStaysInStep) {
    Harness h;
    const std::string mebibyte(1 << 20, 'x');
    std::deque<std::string> segments = {open};
    for (int i = 0; i < 51; ++i) segments.push_back(chunk(mebibyte, i == 50));
    segments.push_back("NOOP\r\n");
    const std::string said = h.talk(std::move(segments));
    EXPECT_THAT(codes(said), EndsWith(" 250 250 552 250"));
    EXPECT_TRUE(h.intake.parts.empty());
}

TEST(SmtpBdat, KeepsDataAndBdatApart) {
    Harness h;
    EXPECT_EQ(
        codes(h.talk({open + chunk(message.substr(0, 5), false) + "DATA\r\n" +
                      "RCPT TO:<c@x.example>\r\nMAIL FROM:<>\r\n" + chunk(message.substr(5))})),
        "220 250 250 250 250 503 503 503 250");
    ASSERT_EQ(h.intake.parts.size(), 1u);
    EXPECT_EQ(h.intake.parts[0].recipients.size(), 1u);
    EXPECT_EQ(codes(h.talk({open + chunk("From: x", false) + "RSET\r\n" + chunk("x")})),
              "220 250 250 250 250 250 503");
}

TEST(SmtpBdat, RefusesBareLineEndsWhereverTheChunksAreCut) {
    for (const char* bad : {"\n", "\r", "\n.\n", "\r\r\n", "\n\r\n", "\r\n\r"}) {
        const std::string content = message + "x" + bad + (*bad == '\r' ? "y\r\n" : "\r\n");
        for (size_t cut = message.size(); cut <= content.size(); ++cut) {
            Harness h;
            const std::string said = h.talk({open + chunk(content.substr(0, cut), false) +
                                             chunk(content.substr(cut)) + "NOOP\r\n"});
            EXPECT_EQ(codes(said), "220 250 250 250 250 550 250") << ::testing::PrintToString(bad);
            EXPECT_TRUE(h.intake.parts.empty());
        }
    }
    Harness h;
    EXPECT_EQ(codes(h.talk({open + chunk(message + "\r")})), "220 250 250 250 550");
}

/// Content behind BDAT that ends a DATA elsewhere, with a second message behind it; cut everywhere.
TEST(SmtpBdat, LetsNobodySmuggleASecondMessage) {
    const std::string hidden = "MAIL FROM:<evil@s.example>\r\nRCPT TO:<v@x.example>\r\n" +
                               chunk("From: evil\r\n\r\nforged\r\n");
    const std::string ends[] = {"\r\n.\r\n",           "\n.\n",       "\r.\r", "\r\n.\n", "\n.\r\n",
                                "\r\nBDAT 0 LAST\r\n", "\r\nRSET\r\n"};
    size_t inputs = 0;
    for (const std::string& end : ends) {
        const std::string content = message + end + hidden;
        const std::string input = open + chunk(content) + "QUIT\r\n";
        for (size_t cut = open.size(); cut < input.size(); ++cut, ++inputs) {
            Harness h;
            h.talk({input.substr(0, cut), input.substr(cut)});
            ASSERT_LE(h.intake.parts.size(), 1u);
            for (const auto& part : h.intake.parts) ASSERT_EQ(part.job->job.sender, "b@s.example");
        }
    }
    EXPECT_GE(inputs, 1'000u);
}

TEST(SmtpBdat, GivesUpOnAChunkThatDoesNotCome) {
    Harness h;
    EXPECT_EQ(codes(h.talk({open + "BDAT 100 LAST\r\nhalf"}, MemoryStream::End::silent)),
              "220 250 250 250 421");
    EXPECT_EQ(codes(h.talk({"BDAT 100 LAST\r\nhalf"}, MemoryStream::End::silent)), "220 421");
    EXPECT_EQ(codes(h.talk({open + chunk("x", false)}, MemoryStream::End::silent)),
              "220 250 250 250 250 421");
    EXPECT_TRUE(h.intake.parts.empty());
}

TEST(SmtpBdat, TellsTheJobWhatTheEnvelopeAsksFor) {
    Harness h;
    h.talk(
        {"EHLO a\r\nMAIL FROM:<b@s.example> RET=FULL ENVID=q1\r\nRCPT TO:<a@x.example> "
         "NOTIFY=SUCCESS ORCPT=rfc822;o@x.example\r\n" +
         chunk("TLS-Required: No\r\n" + message)});
    ASSERT_EQ(h.intake.parts.size(), 1u);
    const storage::Job& job = h.intake.parts[0].job->job;
    EXPECT_EQ(job.envid, "q1");
    EXPECT_EQ(job.ret, storage::DsnReturn::full);
    EXPECT_TRUE(job.reports);
    EXPECT_EQ(job.tls, storage::TlsRequest::optional);
    EXPECT_EQ(h.intake.parts[0].recipients[0].notify, storage::notify::success);
    EXPECT_EQ(h.intake.parts[0].recipients[0].orcpt, "rfc822;o@x.example");
    EXPECT_THAT(h.rendered(), HasSubstr("TLS-Required: No\r\n"));
}

}  // namespace
}  // namespace ingest::smtp_testing
