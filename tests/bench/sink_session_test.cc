// The sink's SMTP session, without sockets.
#include "bench/sink/session.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

namespace sink {
namespace {

const std::string hello = "EHLO c.test\r\n";
const std::string envelope = "MAIL FROM:<a@b.test>\r\nRCPT TO:<r@d.test>\r\n";

/// A session and everything it said; feed() hands over octets as the server does.
struct Conversation {
    Shared shared;
    Session session;
    std::string waiting;
    std::string said;
    Session::Next next = Session::Next::read;

    explicit Conversation(Journal* journal = nullptr)
        : shared{.journal = journal}, session(shared) {}

    void feed(std::string_view octets) {
        waiting += octets;
        std::string replies;
        do {
            replies.clear();
            std::string_view input = waiting;
            next = session.feed(input, replies);
            waiting.erase(0, waiting.size() - input.size());
            said += replies;
        } while (next == Session::Next::read && replies.size() >= Session::replies_octets_max);
    }

    /// The codes of all replies so far (last lines only), joined by spaces.
    std::string codes() const {
        std::string out;
        std::istringstream lines(said);
        for (std::string line; std::getline(lines, line);) {
            if (line.size() > 3 && line[3] == ' ')
                out += (out.empty() ? "" : " ") + line.substr(0, 3);
        }
        return out;
    }
};

TEST(SinkSession, AnswersAPipelinedGroupAndTheMessageBehindIt) {
    Conversation c;
    c.feed(hello);
    c.feed(envelope + "DATA\r\n");
    c.feed("hi\r\n.\r\n" + envelope + "DATA\r\n");
    c.feed("ho\r\n.\r\nQUIT\r\n");
    EXPECT_EQ(c.codes(), "250 250 250 354 250 250 250 354 250 221");
    EXPECT_EQ(c.next, Session::Next::close);
    EXPECT_EQ(c.shared.tally.messages_accepted, 2u);
}

TEST(SinkSession, SaysTheSameHoweverTheInputIsCut) {
    const std::string whole =
        hello + envelope + "BDAT 4\r\nab\r\nBDAT 3 LAST\r\n.\r\n" + envelope +
        "RSET\r\nMAIL FROM:<>\r\nRCPT TO:<\"x y\"@d.test>\r\nBDAT 0 LAST\r\nQUIT\r\n";
    Conversation expected;
    expected.feed(whole);
    EXPECT_EQ(expected.codes(), "250 250 250 250 250 250 250 250 250 250 250 221");
    for (size_t cut = 1; cut < whole.size(); ++cut) {
        Conversation c;
        c.feed(std::string_view(whole).substr(0, cut));
        c.feed(std::string_view(whole).substr(cut));
        EXPECT_EQ(c.said, expected.said) << "cut at " << cut;
    }
}

TEST(SinkSession, EndsAMessageOnlyAtTheFullMark) {
    for (std::string fake :
         {"\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r", "\r.\r\n", "\r\n\x00.\r\n"}) {
        Conversation c;
        c.feed(hello + envelope + "DATA\r\n");
        c.feed("text" + fake + envelope + "DATA\r\nforged\r\n.\r\n");
        EXPECT_EQ(c.shared.tally.replies[size_t(Stage::mail)][250], 1u) << fake.size() << " octets";
    }
}

TEST(SinkSession, RefusesAMessageWithABareNewline) {
    for (std::string text : {"a\nb\r\n", "a\rb\r\n", "\n", "a\r\r\n"}) {
        Conversation c;
        c.feed(hello + envelope + "DATA\r\n");
        c.feed(text + "\r\n.\r\n");
        EXPECT_EQ(c.codes(), "250 250 250 354 550") << text;
        EXPECT_EQ(c.shared.tally.faulty[size_t(Fault::bare_newline)], 1u);
    }
}

TEST(SinkSession, CountsFaultsOfTheClient) {
    Conversation c;
    c.feed(hello);
    c.feed("MAIL FROM:<a@b.test> SIZE=3\r\nRCPT TO:<r@d.test>\r\nDATA\r\nearly");
    c.feed(" \xc3\xa4" + std::string(1000, 'x') + "\r\n.\r\n");
    for (Fault fault :
         {Fault::early_input, Fault::eight_bit, Fault::long_line, Fault::size_exceeded})
        EXPECT_EQ(c.shared.tally.faulty[size_t(fault)], 1u) << int(fault);
}

TEST(SinkSession, ExpectsAddressesAsTheGrammarHasThem) {
    for (std::string bad :
         {"<a@b@c>", "<@x:a@b>", "a@b", "<a b@c>", "<.a@b>", "<a.@b>", "<a@-b>", "<a@b..c>", "<a@>",
          "<@b>", "<a>", "<>", "<a@b> ", "<\"a@b>", "< a@b>"}) {
        Conversation c;
        c.feed(hello + "MAIL FROM:<>\r\nRCPT TO:" + bad + "\r\n");
        EXPECT_TRUE(c.codes() == "250 250 501" || bad == "<a@b> ") << bad << ": " << c.codes();
    }
    for (std::string good :
         {"<a@b>", "<a.b+c@d.e>", "<\"a>b\"@c>", "<a@[127.0.0.1]>", "<a@[IPv6:::1]>"}) {
        Conversation c;
        c.feed(hello + "MAIL FROM:<>\r\nRCPT TO:" + good + "\r\n");
        EXPECT_EQ(c.codes(), "250 250 250") << good;
    }
}

TEST(SinkSession, WantsSmtputf8DeclaredForAnAddressOutsideAscii) {
    Conversation c;
    c.feed(hello +
           "MAIL FROM:<\xc3\xa4@b.test>\r\nMAIL FROM:<\xc3\xa4@b.test> SMTPUTF8\r\n"
           "RCPT TO:<\xc3\xb6@d.test>\r\n");
    EXPECT_EQ(c.codes(), "250 553 250 250");
}

TEST(SinkSession, PassesOverTheOctetsOfARefusedChunk) {
    Conversation c;
    c.shared.script.mixes[size_t(Stage::rcpt)] = *Mix::parse("100% 550 5.1.1 no");
    c.feed(hello + envelope + "BDAT 6 LAST\r\nQUIT\r\n" + "NOOP\r\n");
    EXPECT_EQ(c.codes(), "250 250 550 554 250");
}

TEST(SinkSession, AcceptsAGreylistedRecipientOnTheTryThatWasAskedFor) {
    Conversation c;
    c.shared.script.mixes[size_t(Stage::rcpt)] = *Mix::parse("100% 451 4.7.1 greylisted");
    c.shared.script.accept_on_try = 3;
    const std::string one_try = "MAIL FROM:<>\r\nRCPT TO:<a@d.test>\r\nRSET\r\n";
    c.feed(hello + one_try + one_try + one_try);
    EXPECT_EQ(c.codes(), "250 250 451 250 250 451 250 250 250 250");
}

TEST(SinkSession, HoldsTheReplyToAMessageAndWhatIsBehindIt) {
    Conversation c;
    c.shared.policy.final_delay = true;
    c.feed(hello + envelope + "DATA\r\n");
    c.feed("x\r\n.\r\nNOOP\r\n");
    EXPECT_EQ(c.next, Session::Next::hold);
    EXPECT_EQ(c.codes(), "250 250 250 354");
    c.session.release(c.said);
    c.feed("");
    EXPECT_EQ(c.codes(), "250 250 250 354 250 250");
}

TEST(SinkSession, EndsAConnectionThatHadItsMessages) {
    Conversation c;
    c.shared.policy.messages_per_connection = 1;
    c.feed(hello + envelope + "BDAT 2 LAST\r\n\r\n" + envelope);
    EXPECT_EQ(c.codes(), "250 250 250 250 421");
    EXPECT_EQ(c.next, Session::Next::close);
}

std::string file_text(const std::filesystem::path& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
}

TEST(SinkSession, KeepsTheContentWithoutTheTransparency) {
    auto folder = std::filesystem::temp_directory_path() / fmt::format("sink_test_{}", getpid());
    {
        Journal journal(folder.string() + ".digest", folder);
        Conversation c(&journal);
        c.feed(hello + envelope + "DATA\r\n");
        for (char octet : std::string_view("..a\r\n...\r\nb.\r\n..\r\n.\r\n")) c.feed({&octet, 1});
        c.feed(envelope + "BDAT 3\r\n.\r\nBDAT 0 LAST\r\n");
    }
    EXPECT_EQ(file_text(folder / "00000001.eml"), ".a\r\n..\r\nb.\r\n.\r\n");
    EXPECT_EQ(file_text(folder / "00000002.eml"), ".\r\n");
    // sha256sum of those octets, by coreutils
    EXPECT_EQ(file_text(folder.string() + ".digest"),
              "1\t7fbb6a2340fd13599f00e47f066f2d74f679d33cb97ef7915700fd861c020047\t15\ta@b."
              "test\tr@d.test\n"
              "2\tc0a317f60910eed08bbfc7b3ac6e6de1b2029bf4922d0b0d7d3759313a24b16c\t3\ta@b.test\tr@"
              "d.test\n");
    std::filesystem::remove_all(folder);
    std::filesystem::remove(folder.string() + ".digest");
}

TEST(SinkSession, OutlivesRandomOctets) {
    std::mt19937_64 random(20261122);
    const std::vector<std::string> words{"EHLO x\r\n",
                                         envelope,
                                         "DATA\r\n",
                                         "BDAT ",
                                         "18446744073709551616",
                                         "BDAT 99999999999999999 LAST\r\n",
                                         "\r\n.\r\n",
                                         "\r\n",
                                         ".",
                                         "RSET\r\n",
                                         "MAIL FROM:<",
                                         ">",
                                         "\"",
                                         "\\",
                                         "RCPT TO:<a@b",
                                         "BDAT 3 LAST\r\n",
                                         "QUIT\r\n"};
    for (int run = 0; run < 3000; ++run) {
        Conversation c;
        for (int piece = 0; piece < 30 && c.next == Session::Next::read; ++piece) {
            std::string octets;
            if (random() % 2) octets = words[random() % words.size()];
            for (size_t i = random() % 20; i > 0; --i) octets += char(random() % 256);
            c.feed(octets);
            ASSERT_LE(c.waiting.size(), Session::command_octets_max + 1);
        }
    }
}

TEST(SinkSession, StopsReadingACommandThatNeverEnds) {
    Conversation c;
    c.feed(std::string(Session::command_octets_max + 1, 'x'));
    EXPECT_EQ(c.codes(), "500");
    EXPECT_EQ(c.next, Session::Next::close);
}

TEST(SinkScript, ReadsAMixAndKeepsItsShares) {
    auto mix = Mix::parse("2% 550 5.1.1 no such user, sorry, 3% 451 4.7.1 later, 0.5% drop");
    ASSERT_TRUE(mix) << mix.error();
    std::map<unsigned, int> seen;
    std::mt19937_64 random(1);
    for (int i = 0; i < 100'000; ++i) {
        const Reply* reply = mix->choose(random());
        ++seen[reply ? reply->code : 250];
        if (reply && reply->code == 550)
            EXPECT_EQ(reply->line, "550 5.1.1 no such user, sorry\r\n");
    }
    EXPECT_NEAR(seen[550], 2000, 200);
    EXPECT_NEAR(seen[451], 3000, 250);
    EXPECT_NEAR(seen[0], 500, 100);
}

TEST(SinkScript, SaysWhatIsWrongWithAMix) {
    for (std::string bad : {"550 no", "2% 250 fine", "2% 55 no", "60% 550 a, 60% 450 b", "x% 550 a",
                            "2%", "-1% 550 a"})
        EXPECT_FALSE(Mix::parse(bad)) << bad;
}

}  // namespace
}  // namespace sink
