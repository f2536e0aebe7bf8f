#include "ingest/cli.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "ingest/version.h"
#include "tests/ingest/support/canned_server.h"

namespace ingest {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing_support::CannedServer;
using testing_support::http_answer;
using testing_support::Peer;

struct Ran {
    int status = 0;
    std::string out, err;
};

Config served_with;
int fake_serve(const Config& config) {
    served_with = config;
    return 0;
}

Ran run(std::vector<std::string> words) {
    std::vector<const char*> argv{"sluice"};
    for (const auto& word : words) argv.push_back(word.c_str());
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    Ran ran;
    ran.status = run_command_line(static_cast<int>(argv.size()), argv.data(), fake_serve);
    ran.out = testing::internal::GetCapturedStdout();
    ran.err = testing::internal::GetCapturedStderr();
    return ran;
}

/// A file that is gone with the test.
class TemporaryFile {
  public:
    explicit TemporaryFile(std::string_view text) {
        const int fd = mkstemp(name_.data());
        EXPECT_EQ(write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
        close(fd);
    }
    ~TemporaryFile() { std::filesystem::remove(name_); }
    const std::string& name() const { return name_; }

  private:
    std::string name_ = (std::filesystem::temp_directory_path() / "sluice-test-XXXXXX").string();
};

// ---- words

TEST(CommandLine, NamesTheCommandThatWasMeant) {
    const Ran ran = run({"stauts"});
    EXPECT_EQ(ran.status, 2);
    EXPECT_EQ(ran.err, "sluice: unknown command 'stauts'; did you mean status?\n");
    EXPECT_THAT(run({"xyzzy"}).err, HasSubstr("`sluice --help` lists them"));
}

TEST(CommandLine, NamesTheOptionThatWasMeant) {
    const Ran ran = run({"status", "--sever=x"});
    EXPECT_EQ(ran.status, 2);
    EXPECT_THAT(ran.err, HasSubstr("unknown option --sever; did you mean --server?"));
}

TEST(CommandLine, EndsWithTwoOnWrongUsage) {
    EXPECT_EQ(run({}).status, 2);
    EXPECT_EQ(run({"submit"}).status, 2);
    EXPECT_EQ(run({"events", "--after", "soon"}).status, 2);
    EXPECT_EQ(run({"send", "--from", "a@b.test"}).status, 2);
    EXPECT_EQ(run({"serve", "--log-level", "loud"}).status, 2);
}

TEST(CommandLine, HelpsAndTellsItsVersion) {
    EXPECT_EQ(run({"--help"}).status, 0);
    EXPECT_THAT(run({"--version"}).out, HasSubstr(std::string(version)));
    EXPECT_THAT(run({"submit", "--help"}).out, HasSubstr("NDJSON"));
}

TEST(CommandLine, GivesTheConfigurationToTheDaemon) {
    const TemporaryFile file("[node]\nname = \"out7.example.test\"\n");
    EXPECT_EQ(run({"serve", "--config", file.name(), "--log-level", "debug"}).status, 0);
    EXPECT_EQ(served_with.delivery.node_name, "out7.example.test");
    EXPECT_EQ(served_with.log_level, metrics::log::Level::debug);
}

TEST(CommandLine, PrintsEverythingThatIsWrongWithAConfigurationAndEndsWithTwo) {
    const TemporaryFile file("[node]\nshard = 1\n[retry]\nexpires = 5\n");
    const Ran ran = run({"serve", "--config", file.name()});
    EXPECT_EQ(ran.status, 2);
    EXPECT_THAT(ran.err, AllOf(HasSubstr(file.name() + ":2:1: unknown key shard"),
                               HasSubstr("did you mean shards?"),
                               HasSubstr(file.name() + ":4:11: [retry] expires")));
}

// ---- status

TEST(StatusCommand, ShowsWhatTheDaemonSaysAsATable) {
    CannedServer server(1, [](Peer& peer) {
        EXPECT_THAT(peer.hear_until("\r\n\r\n"),
                    testing::StartsWith("GET /v1/status HTTP/1.1\r\n"));
        peer.say(http_answer(200, R"({"version":"1","queue":{"ready":1234567,"oldest_seconds":200},
                                      "tenants":{"acme":{"accepted":5,"open":0},"b\u001b[2J":{"accepted":1}}})"));
    });
    const Ran ran = run({"status", "--server", server.address()});
    EXPECT_EQ(ran.status, 0) << ran.err;
    EXPECT_EQ(ran.out,
              "version  1\n"
              "queue\n"
              "  ready   1,234,567\n"
              "  oldest  3 min 20 s\n"
              "tenants\n"
              "         accepted  open\n"
              "  acme   5         0\n"
              "  b?[2J  1         \n");
}

TEST(StatusCommand, PassesJsonThroughWhenAsked) {
    CannedServer server(1, [](Peer& peer) {
        peer.hear_until("\r\n\r\n");
        peer.say(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: "
            "chunked\r\n\r\n4\r\n{\"a\"\r\n3\r\n:1}\r\n0\r\n\r\n");
    });
    EXPECT_EQ(run({"status", "--json", "--server", "http://" + server.address() + "/"}).out,
              "{\"a\":1}\n");
}

TEST(StatusCommand, SaysThatNobodyListensAndHowToMendIt) {
    const Ran ran = run({"status", "--server", "unix:/nowhere/sluice.sock"});
    EXPECT_EQ(ran.status, 1);
    EXPECT_THAT(ran.err,
                AllOf(HasSubstr("No such file or directory"), HasSubstr("start `sluice serve`")));
    EXPECT_THAT(run({"status", "--server", "nowhere"}).err,
                HasSubstr("write unix:/path or ip:port"));
}

TEST(StatusCommand, FindsTheDaemonByItsConfiguration) {
    CannedServer server(1, [](Peer& peer) {
        peer.hear_until("\r\n\r\n");
        peer.say(http_answer(200, "{}"));
    });
    const TemporaryFile file("[listen]\nhttp = [\"" + server.address() +
                             "\"]\n[node]\nname = \"a.b.test\"\n");
    EXPECT_EQ(run({"status", "--config", file.name()}).status, 0);
}

TEST(StatusCommand, FailsWhenTheAnswerIsCut) {
    CannedServer server(2, [](Peer& peer) {
        peer.hear_until("\r\n\r\n");
        peer.say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}");
    });
    EXPECT_THAT(run({"status", "--server", server.address()}).err,
                HasSubstr("before its answer was whole"));
    EXPECT_EQ(run({"status", "--server", server.address()}).status, 1);
}

TEST(StatusCommand, FailsWhenTheOtherSideSpeaksNoHttp) {
    CannedServer server(1, [](Peer& peer) { peer.say("220 mail.test ESMTP\r\n"); });
    EXPECT_THAT(run({"status", "--server", server.address()}).err,
                HasSubstr("does not speak HTTP"));
}

// ---- submit

TEST(SubmitCommand, StreamsTheFileAndAddsUpTheAnswer) {
    const std::string text = "{\"from\":\"\"}\n{\"to\":\"a@x.test\"}\n{\"to\":\"bad\"}\n";
    std::string heard;
    CannedServer server(1, [&](Peer& peer) {
        heard = peer.hear_until("0\r\n\r\n");
        peer.say("HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n");
        const std::string body =
            "{\"job\":\"01J\",\"line\":1,\"accepted\":2000}\n{\"job\":\"01J\",\"line\":1,"
            "\"accepted\":1}\n"
            "{\"line\":3,\"to\":\"bad\",\"errors\":[{\"code\":\"recipient.invalid\",\"message\":"
            "\"no @\"}]}\n"
            "{\"jobs\":1,\"accepted\":2001,\"rejected\":1,\"lines\":3,\"complete\":true}\n";
        for (const char c : body) peer.say(std::string("1\r\n") + c + "\r\n");  // cut everywhere
        peer.say("0\r\n\r\n");
    });
    const TemporaryFile file(text);
    const Ran ran = run({"submit", file.name(), "--server", server.address()});
    EXPECT_THAT(heard, AllOf(testing::StartsWith("POST /v1/messages HTTP/1.1\r\n"),
                             HasSubstr("application/x-ndjson"),
                             HasSubstr("\r\n\r\n2b\r\n" + text + "\r\n0\r\n\r\n")));
    EXPECT_THAT(ran.out, testing::StartsWith("accepted 2,001, rejected 1, in "));
    EXPECT_THAT(ran.err, HasSubstr("line 3: recipient.invalid: no @"));
    EXPECT_EQ(ran.status, 1);  // not everything was taken
}

TEST(SubmitCommand, EndsWithZeroWhenEverythingWasTaken) {
    CannedServer server(1, [&](Peer& peer) {
        peer.hear_until("0\r\n\r\n");
        peer.say(http_answer(
            202, "{\"jobs\":1,\"accepted\":1,\"rejected\":0,\"lines\":2,\"complete\":true}\n"));
    });
    const TemporaryFile file("{}\n{}\n");
    const Ran ran = run({"submit", "--json", file.name(), "--server", server.address()});
    EXPECT_EQ(ran.status, 0);
    const auto summary = nlohmann::json::parse(ran.out);
    EXPECT_EQ(summary["accepted"], 1);
    EXPECT_EQ(summary["complete"], true);
}

TEST(SubmitCommand, SaysWhyTheDaemonTakesNothing) {
    CannedServer server(1, [&](Peer& peer) {
        peer.hear_until("\r\n\r\n");
        peer.say(http_answer(
            429,
            R"({"errors":[{"code":"queue.full","message":"the queue is full","field":"bytes_max","hint":"wait"}]})"));
    });
    const TemporaryFile file(std::string(3 << 20, 'x'));
    const Ran ran = run({"submit", file.name(), "--server", server.address()});
    EXPECT_EQ(ran.status, 1);
    EXPECT_THAT(ran.err, HasSubstr("queue.full: the queue is full (bytes_max); wait"));
}

TEST(SubmitCommand, SaysHowMuchWasTakenBeforeTheConnectionBroke) {
    CannedServer server(1, [&](Peer& peer) {
        peer.hear_until("0\r\n\r\n");
        peer.say("HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n");
        peer.say("26\r\n{\"job\":\"01J\",\"line\":1,\"accepted\":700}\n\r\n");
    });
    const TemporaryFile file("{}\n");
    const Ran ran = run({"submit", file.name(), "--server", server.address()});
    EXPECT_EQ(ran.status, 1);
    EXPECT_THAT(ran.err, AllOf(HasSubstr("before its answer was whole"),
                               HasSubstr("700 recipients were accepted")));
}

TEST(SubmitCommand, SaysThatAFileCannotBeRead) {
    const Ran ran = run({"submit", "/nowhere/file"});
    EXPECT_EQ(ran.status, 1);
    EXPECT_THAT(ran.err, HasSubstr("cannot read /nowhere/file: No such file or directory"));
    EXPECT_THAT(run({"submit", "/"}).err,
                testing::AnyOf(HasSubstr("directory"), HasSubstr("cannot reach")));
}

// ---- events

std::string events_answer(uint64_t cursor, std::string_view body, uint64_t first = 1) {
    return "HTTP/1.1 200 OK\r\nSluice-Cursor: " + std::to_string(cursor) +
           "\r\nSluice-First: " + std::to_string(first) +
           "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

TEST(EventsCommand, ReadsOnFromWhereTheServerLookedUntilThereIsNoMore) {
    std::vector<std::string> asked;
    CannedServer server(3, [&](Peer& peer) {
        const std::string request = peer.hear_until("\r\n\r\n");
        asked.push_back(request.substr(0, request.find(" HTTP")));
        // The second page has nothing that the filter lets through, and is not the end.
        peer.say(asked.size() == 1
                     ? events_answer(
                           7, R"({"seq":7,"type":"deferred","time":"T","to":"a@x.test","code":451,)"
                              R"("reply":"wait\n\u001b[31m","delivery":"01J-0"})"
                              "\n")
                     : events_answer(9000, ""));
    });
    const Ran ran = run({"events", "--after", "6", "--type", "deferred", "--to", "a+b@x.test",
                         "--server", server.address()});
    EXPECT_EQ(ran.status, 0) << ran.err;
    ASSERT_EQ(asked.size(), 3);
    EXPECT_EQ(asked[0], "GET /v1/events?after=6&limit=1000&type=deferred&to=a%2Bb%40x.test");
    EXPECT_THAT(asked[1], HasSubstr("after=7&"));
    EXPECT_THAT(asked[2], HasSubstr("after=9000&"));
    EXPECT_EQ(ran.out, "T deferred  a@x.test  451 wait ?[31m  01J-0\n");
}

TEST(EventsCommand, PrintsTheLinesAsTheyAreWhenJsonIsWanted) {
    CannedServer server(2, [](Peer& peer) {
        const bool first = peer.hear_until("\r\n\r\n").contains("after=0");
        peer.say(events_answer(1, first ? "{\"seq\":1,\"type\":\"accepted\"}\n" : ""));
    });
    EXPECT_EQ(run({"events", "--json", "--server", server.address()}).out,
              "{\"seq\":1,\"type\":\"accepted\"}\n");
}

TEST(EventsCommand, FollowsFromTheNewestEvent) {
    CannedServer server(2, [](Peer& peer) {
        const std::string request = peer.hear_until("\r\n\r\n");
        if (request.starts_with("GET /v1/status ")) {
            peer.say(http_answer(200, R"({"storage":{"last_event":41}})"));
        } else {
            EXPECT_THAT(request, HasSubstr("after=41&limit=1000&wait=30s"));
            peer.say(http_answer(
                503, R"({"errors":[{"code":"draining","message":"this node stops"}]})"));
        }
    });
    const Ran ran = run({"events", "--follow", "--server", server.address()});
    EXPECT_EQ(ran.status, 1);
    EXPECT_THAT(ran.err, HasSubstr("draining: this node stops"));
}

TEST(EventsCommand, SaysThatEventsAreNoLongerKept) {
    CannedServer server(1, [](Peer& peer) {
        peer.hear_until("\r\n\r\n");
        peer.say(events_answer(10, "", 100));
    });
    EXPECT_THAT(run({"events", "--after", "10", "--server", server.address()}).err,
                HasSubstr("events 11 to 99 are no longer kept"));
}

// ---- check

TEST(CheckCommand, SaysThatThisHostIsFit) {
    const auto dir = std::filesystem::temp_directory_path();
    const TemporaryFile file("[node]\nname = \"a.b.test\"\ndata_dir = \"" + dir.string() +
                             "\"\n[queue]\nfree_disk_min = \"0\"\n");
    const Ran ran = run({"check", "--offline", "--json", "--config", file.name()});
    const auto report = nlohmann::json::parse(ran.out);
    std::map<std::string, std::string> verdicts;
    for (const auto& finding : report["findings"]) {
        verdicts[finding["name"].get<std::string>()] = finding["verdict"].get<std::string>();
        if (finding["verdict"] == "warn" && finding["name"] != "configuration") {
            EXPECT_NE(finding["mend"], "") << finding;
        }
    }
    EXPECT_EQ(verdicts["configuration"], "ok");
    EXPECT_EQ(verdicts["data_dir"], "ok");
    EXPECT_EQ(verdicts["free disk"], "ok");
    EXPECT_TRUE(verdicts.contains("io_uring") && verdicts.contains("open files") &&
                verdicts.contains("disk sync"));
    EXPECT_FALSE(verdicts.contains("DNS"));
}

TEST(CheckCommand, FailsOnAWrongConfigurationAndOnADirectoryThatCannotBe) {
    const TemporaryFile wrong("[nod]\n");
    const Ran ran = run({"check", "--offline", "--config", wrong.name()});
    EXPECT_EQ(ran.status, 1);
    EXPECT_THAT(ran.out, HasSubstr("did you mean node?"));
    const TemporaryFile nowhere(
        "[node]\nname = \"a.b.test\"\ndata_dir = \"/nowhere/deep/sluice\"\n");
    EXPECT_THAT(run({"check", "--offline", "--config", nowhere.name()}).out,
                AllOf(HasSubstr("fail data_dir"), HasSubstr("create it for the user that serves")));
}

// ---- send

/// A receiver for one mail that refuses nothing but recipients named "bad".
void receive_mail(Peer& peer) {
    peer.say("220 mx.test ESMTP\r\n");
    peer.hear_until("\r\n");
    peer.say("250 mx.test\r\n");
    while (true) {
        const std::string line = peer.hear_until("\r\n");
        if (line.starts_with("DATA")) {
            peer.say("354 go\r\n");
            peer.hear_until("\r\n.\r\n");
            peer.say("250 2.0.0 taken\r\n");
        } else if (line.starts_with("QUIT") || line.empty()) {
            peer.say("221 bye\r\n");
            return;
        } else {
            peer.say(line.contains("<bad@") ? "550 no such user\r\n" : "250 ok\r\n");
        }
    }
}

std::string send_config(const CannedServer& server) {
    return "[node]\nname = \"out1.example.test\"\n[delivery]\nport = " +
           std::to_string(server.port()) + "\nallow_addresses = [\"127.0.0.0/8\"]\n";
}

TEST(SendCommand, DeliversOneMailAndShowsTheConversation) {
    CannedServer server(1, receive_mail);
    const TemporaryFile file(send_config(server));
    const Ran ran = run({"send", "--from", "a@example.test", "--to", "b@[127.0.0.1]", "--subject",
                         "Hi", "--text", "Hello", "--config", file.name()});
    EXPECT_EQ(ran.status, 0) << ran.out << ran.err;
    EXPECT_THAT(ran.out,
                AllOf(HasSubstr("S: 220 mx.test ESMTP"), HasSubstr("C: EHLO out1.example.test"),
                      HasSubstr("C: RCPT TO:<b@[127.0.0.1]>"), HasSubstr("C: (content: "),
                      HasSubstr("\ndelivered: 250 2.0.0 taken\n")));
    EXPECT_THAT(ran.out, testing::Not(HasSubstr("Hello")));
}

TEST(SendCommand, FailsWithTheReceiversWords) {
    CannedServer server(1, receive_mail);
    const TemporaryFile file(send_config(server));
    const Ran ran = run({"send", "--from", "a@example.test", "--to", "bad@[127.0.0.1]", "--subject",
                         "Hi", "--text", "Hello", "--json", "--config", file.name()});
    EXPECT_EQ(ran.status, 1);
    const auto report = nlohmann::json::parse(ran.out);
    EXPECT_EQ(report["outcome"], "bounced");
    EXPECT_EQ(report["stage"], "rcpt");
    EXPECT_EQ(report["code"], 550);
    EXPECT_GT(report["conversation"].size(), 5);
}

TEST(SendCommand, NeverGoesToAnAddressThatMailMustNotGoTo) {
    const TemporaryFile file("[node]\nname = \"out1.example.test\"\n");
    const Ran ran = run({"send", "--from", "a@example.test", "--to", "b@[127.0.0.1]", "--subject",
                         "Hi", "--text", "Hello", "--config", file.name()});
    EXPECT_EQ(ran.status, 1);
    EXPECT_THAT(ran.out, HasSubstr("bounced at dns: 550 5.4.4"));
}

TEST(SendCommand, RefusesWhatIsNoAddress) {
    const Ran ran = run(
        {"send", "--from", "a@example.test", "--to", "nobody", "--subject", "Hi", "--text", "x"});
    EXPECT_EQ(ran.status, 1);
    EXPECT_THAT(ran.err, HasSubstr("--to: "));
}

}  // namespace
}  // namespace ingest
