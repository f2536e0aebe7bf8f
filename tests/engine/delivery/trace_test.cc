// Conversations that somebody watches: filters, bounds, contents that stay out, viewers that leave.
#include "engine/delivery/trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/delivery/connection_tap.h"

namespace engine {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

struct MovedClock : Clock {
    Instant time{1h};
    Instant now() const override { return time; }
    WallTime wall() const override {
        return WallTime(std::chrono::duration_cast<std::chrono::milliseconds>(time - Instant{}));
    }
};

struct NoHome : Returns {
    void give_back(Return) override {}
};

/// A connection to mx1.x.test, which somebody may watch.
struct Watched {
    MovedClock clock;
    TraceDesk desk{clock, 3};
    NoHome home;
    ReadyQueue waiting;
    ConnectionTap tap{desk,
                      [this] {
                          return TracedConnection{.id = desk.next_connection(),
                                                  .site = "x.test",
                                                  .provider = "ex",
                                                  .source = "ip1",
                                                  .mx = "mx1.x.test",
                                                  .ip = "192.0.2.1"};
                      },
                      waiting};

    Loan loan(std::string tenant, std::string domain) {
        LoanTerms terms;
        terms.delivery.queue = {std::hash<std::string>()(tenant + domain), 0};
        terms.queue = std::make_shared<const storage::QueueInfo>(
            storage::QueueInfo{std::move(tenant), "c", storage::Class::bulk, std::move(domain)});
        return {std::move(terms), home};
    }
    std::vector<Loan> mail(std::string tenant, std::string domain) {
        std::vector<Loan> loans;
        loans.push_back(loan(std::move(tenant), std::move(domain)));
        return loans;
    }
    std::vector<std::string> look(TraceFilter filter, uint64_t viewer = 1) {
        std::vector<std::string> texts;
        for (const TraceLine& line :
             desk.read(viewer, std::make_shared<const TraceFilter>(std::move(filter))).lines)
            texts.push_back(std::string(to_string(line.who)) + ": " + line.text);
        return texts;
    }
};

TEST(Trace, NothingIsKeptWhileNobodyLooks) {
    Watched x;
    EXPECT_FALSE(x.tap.listens());
    x.tap.we_say("EHLO out.test\r\n");
    EXPECT_THAT(x.look({}), IsEmpty());
    EXPECT_TRUE(x.tap.listens());
}

TEST(Trace, ShowsBothSidesLineByLineAndSumsUpContents) {
    Watched x;
    x.look({});
    x.tap.we_say("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n");
    x.tap.host_says({250, "2.1.0", "one\ntwo"});
    x.tap.we_send("Subject: secret\r\n");
    x.tap.we_send("\r\nhello\r\n.\r\n");
    x.tap.host_says({550, "", "no"});
    EXPECT_THAT(x.look({}), ElementsAre("we: MAIL FROM:<a@b>", "we: RCPT TO:<c@d>",
                                        "host: 250-2.1.0 one", "host: 250 2.1.0 two",
                                        "note: 29 octets of content were sent", "host: 550 no"));
    EXPECT_THAT(x.look({}), IsEmpty()) << "what was taken is gone";
}

TEST(Trace, ContentsAreForThoseWhoAskForThem) {
    Watched x;
    x.look({});
    x.look({.content = true}, 2);
    x.tap.we_send("Subject: x\r\n\r\n");
    x.tap.we_send(std::string(2 * ConnectionTap::content_shown_max, 'y'));
    x.tap.note("over");
    EXPECT_THAT(x.look({}), ElementsAre("note: 131086 octets of content were sent", "note: over"));
    const auto shown = x.look({.content = true}, 2);
    ASSERT_EQ(shown.size(), 5U);
    EXPECT_EQ(shown[0], "content: Subject: x");
    EXPECT_EQ(shown[2].size(), TraceDesk::line_bytes_max + std::string("content: ").size());
}

TEST(Trace, AHostIsNamedWholeByItsEndOrByItsAddress) {
    const TracedConnection connection{.mx = "mx1.x.test", .ip = "192.0.2.1"};
    for (const char* host : {"", "mx1.x.test", "x.test", "test", "192.0.2.1"})
        EXPECT_TRUE(TraceFilter{.host = host}.lets_through(connection)) << host;
    for (const char* host : {"mx2.x.test", "1.x.test", ".test", "192.0.2"})
        EXPECT_FALSE(TraceFilter{.host = host}.lets_through(connection)) << host;
}

TEST(Trace, ADomainsConversationsAreThoseThatCarryItsMail) {
    Watched x;
    const TraceFilter of_two{.domain = "two.test"};
    x.look(of_two);
    x.waiting.push(x.loan("t", "one.test"));
    x.tap.note("connecting");
    x.waiting.push(x.loan("t", "two.test"));
    x.tap.note("greeted");

    ConnectionTap::InHand in_hand;
    x.tap.carries(&in_hand);
    in_hand.push_back(x.mail("t", "one.test"));
    x.tap.we_say("MAIL FROM:<1>\r\n");
    in_hand.push_back(x.mail("t", "two.test"));
    x.tap.we_say("MAIL FROM:<2>\r\n");
    while (!in_hand.empty()) {
        x.tap.has_carried(in_hand.front());
        in_hand.erase(in_hand.begin());
    }
    x.tap.we_say("QUIT\r\n");
    x.tap.carries(nullptr);
    EXPECT_THAT(x.look(of_two), ElementsAre("note: greeted", "we: MAIL FROM:<2>", "we: QUIT"));
}

TEST(Trace, ATenantsConversationsLikewise) {
    Watched x;
    ConnectionTap::InHand in_hand;
    in_hand.push_back(x.mail("acme", "one.test"));
    x.tap.carries(&in_hand);
    x.look({.tenant = "acme"}, 1);
    x.look({.tenant = "others"}, 2);
    x.look({.tenant = "acme", .provider = "another"}, 3);
    x.tap.we_say("DATA\r\n");
    EXPECT_THAT(x.look({.tenant = "acme"}, 1), ElementsAre("we: DATA"));
    EXPECT_THAT(x.look({.tenant = "others"}, 2), IsEmpty());
    EXPECT_THAT(x.look({.tenant = "acme", .provider = "another"}, 3), IsEmpty());
}

TEST(Trace, WhoDoesNotTakeTheLinesLosesSomeAndIsToldHowMany) {
    Watched x;
    x.look({});
    for (size_t i = 0; i < TraceDesk::lines_max + 7; ++i) x.tap.note("line");
    const TraceRead read = x.desk.read(1, std::make_shared<const TraceFilter>());
    EXPECT_EQ(read.lines.size(), TraceDesk::lines_max);
    EXPECT_EQ(read.left_out, 7U);
    EXPECT_EQ(x.desk.read(1, std::make_shared<const TraceFilter>()).left_out, 0U);

    const std::string longest(TraceDesk::line_bytes_max, 'x');
    for (size_t i = 0; i <= TraceDesk::bytes_max / longest.size(); ++i) x.tap.note(longest);
    EXPECT_EQ(x.desk.read(1, std::make_shared<const TraceFilter>()).left_out, 1U);
}

TEST(Trace, WhoDoesNotComeAgainIsForgotten) {
    Watched x;
    x.look({});
    x.clock.time += TraceDesk::forgotten_after + 1ms;
    x.tap.note("nobody is there");
    EXPECT_FALSE(x.tap.listens());
    EXPECT_THAT(x.look({}), IsEmpty());
}

TEST(Trace, OnlySoManyMayLookAtATime) {
    Watched x;
    const auto all = std::make_shared<const TraceFilter>();
    for (uint64_t viewer = 0; viewer < TraceDesk::viewers_max; ++viewer)
        EXPECT_TRUE(x.desk.read(viewer, all).seated);
    EXPECT_FALSE(x.desk.read(99, all).seated);
    EXPECT_TRUE(x.desk.read(0, all).seated) << "who has a place keeps it";
    x.desk.read(0, nullptr);
    EXPECT_TRUE(x.desk.read(98, all).seated) << "who leaves makes room";
    x.clock.time += TraceDesk::forgotten_after + 1ms;
    EXPECT_TRUE(x.desk.read(99, all).seated);
}

}  // namespace
}  // namespace engine
