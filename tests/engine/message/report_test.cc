#include "engine/message/report.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "engine/message/content.h"

namespace engine {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

StatusReport report() {
    const storage::WallTime noon{std::chrono::sys_days{std::chrono::year{2026} / 11 / 22} +
                                 std::chrono::hours(12)};
    return {.reporting_host = "out1.example.com",
            .to = "bob@news.example",
            .envid = "QQ314159",
            .id = storage::JobId{77},
            .arrival = noon,
            .now = noon + std::chrono::minutes(1),
            .recipients = {{.address = "ann@x.test",
                            .original = "rfc822;Ann@X.test",
                            .status = "5.1.1",
                            .host = "mx.x.test",
                            .reply = "550 5.1.1 no such user",
                            .last_attempt = noon}},
            .original = "From: News <news@news.example>\r\nSubject: Hello\r\n\r\nBody of it\r\n"};
}

TEST(Report, HoldsTheFieldsOfRfc3464) {
    const std::string mail = write_report(report());
    for (const char* line :
         {"Auto-Submitted: auto-replied\r\n", "To: <bob@news.example>\r\n",
          "Subject: Undelivered mail: Hello\r\n", "Reporting-MTA: dns; out1.example.com\r\n",
          "Original-Envelope-Id: QQ314159\r\n", "Arrival-Date: Sun, 22 Nov 2026 12:00:00 +0000\r\n",
          "\r\n\r\nOriginal-Recipient: rfc822; Ann@X.test\r\nFinal-Recipient: rfc822; "
          "ann@x.test\r\n"
          "Action: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; mx.x.test\r\n"
          "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n"
          "Last-Attempt-Date: Sun, 22 Nov 2026 12:00:00 +0000\r\n"})
        EXPECT_THAT(mail, HasSubstr(line));
}

TEST(Report, GivesBackTheHeaderOnlyOrAllOfIt) {
    StatusReport made = report();
    EXPECT_THAT(write_report(made), HasSubstr("text/rfc822-headers"));
    EXPECT_THAT(write_report(made), Not(HasSubstr("Body of it")));
    made.give_back = StatusReport::Return::full;
    EXPECT_THAT(write_report(made), HasSubstr("Content-Type: message/rfc822"));
    EXPECT_THAT(write_report(made), HasSubstr("Body of it"));
    made.original = {};
    EXPECT_THAT(write_report(made), Not(HasSubstr("rfc822\r\n")));
}

TEST(Report, SaysHowLongItIsTriedYet) {
    StatusReport made = report();
    made.action = StatusReport::Action::delayed;
    made.recipients[0].retried_until = made.arrival + std::chrono::hours(72);
    const std::string mail = write_report(made);
    EXPECT_THAT(mail, HasSubstr("Action: delayed\r\n"));
    EXPECT_THAT(mail, HasSubstr("Will-Retry-Until: Wed, 25 Nov 2026 12:00:00 +0000\r\n"));
}

TEST(Report, LetsNoReplyOfAHostBreakOutOfItsLine) {
    StatusReport made = report();
    made.recipients[0].reply = "550 no\r\nAction: delivered\r\n\r\n--=_report\n\x01\xff";
    const std::string mail = write_report(made);
    EXPECT_THAT(mail, Not(HasSubstr("\r\nAction: delivered")));
    EXPECT_THAT(mail, HasSubstr("Diagnostic-Code: smtp; 550 no Action: delivered"));
}

TEST(Report, WritesAddressesBeyondAsciiInAscii) {
    StatusReport made = report();
    made.recipients[0].address = "j\xc3\xb6rg@x.test";
    const std::string mail = write_report(made);
    EXPECT_THAT(mail, HasSubstr("Final-Recipient: utf-8; j\\x{F6}rg@x.test\r\n"));
    EXPECT_TRUE(
        std::ranges::none_of(mail, [](char c) { return static_cast<unsigned char>(c) > 127; }));
}

TEST(Report, IsSevenBitEvenWhenTheHeaderGivenBackIsNot) {
    StatusReport made = report();
    made.original =
        "Subject: Gr\xc3\xbc\xc3\x9f"
        "e\r\n\r\nx\r\n";
    const std::string mail = write_report(made);
    EXPECT_TRUE(
        std::ranges::none_of(mail, [](char c) { return static_cast<unsigned char>(c) > 127; }));
    EXPECT_THAT(mail, HasSubstr("Gr=C3=BC=C3=9Fe"));
}

TEST(Report, IsAMailThatWeTakeOurselves) {
    StatusReport made = report();
    made.recipients[0].reply = std::string(5000, 'x');
    made.give_back = StatusReport::Return::full;
    const auto content =
        Content::from_raw(write_report(made), Templating::off,
                          {.host = "out1.example.com", .job = made.id, .time = made.now});
    ASSERT_TRUE(content);
    EXPECT_TRUE(content->same_for_all());
    EXPECT_FALSE(content->eight_bit());
}

}  // namespace
}  // namespace engine
