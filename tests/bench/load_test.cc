// The load generator: what it makes, what it reads, and a run of it against the sink.
#include <gtest/gtest.h>

#include <algorithm>

#include <atomic>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "bench/load/http_reply.h"
#include "bench/load/run.h"
#include "bench/sink/server.h"
#include "bench/sink/side_doors.h"

namespace load {
namespace {

Corpus corpus(std::string_view domains, unsigned vars = 0, uint64_t size = 500) {
    return Corpus({.domains = *DomainPattern::parse(domains), .size = size, .vars = vars});
}

TEST(LoadCorpus, TakesTurnsBetweenTheDomainsOfAPattern) {
    Corpus sent = corpus("d{3..5}.demo.test");
    std::string all;
    for (uint64_t n = 0; n < 4; ++n) sent.append_address(all, n);
    EXPECT_EQ(all, "u0@d3.demo.testu1@d4.demo.testu2@d5.demo.testu3@d3.demo.test");
    EXPECT_TRUE(DomainPattern::parse("one.test"));
    for (std::string bad : {"d{1..}", "d{2..1}", "d{1", "d}1{", "d{a..b}"})
        EXPECT_FALSE(DomainPattern::parse(bad)) << bad;
}

TEST(LoadCorpus, MakesJobsWithAVariableForEveryPlaceholder) {
    auto job = nlohmann::json::parse(corpus("x.test", 3, 50 * 1024).json_job(7, 2));
    std::string text = job["content"]["text"];
    EXPECT_NEAR(double(text.size()), 50 * 1024, 200);
    ASSERT_EQ(job["recipients"].size(), 2u);
    EXPECT_EQ(job["recipients"][1]["to"], "u8@x.test");
    for (auto& [name, value] : job["recipients"][1]["vars"].items())
        EXPECT_NE(text.find("{{" + name + "}}"), std::string::npos);
    EXPECT_EQ(job["recipients"][1]["vars"].size(), 3u);
}

TEST(LoadHttpReply, ReadsFixedAndChunkedBodiesCutAnywhere) {
    const std::string octets =
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\nContent-Length: 4\r\n\r\nbody"
        "HTTP/1.1 429 Slow\r\nRetry-After: 2\r\nTransfer-Encoding: "
        "chunked\r\n\r\n3\r\nabc\r\na;x=y\r\n0123456789\r\n0\r\n\r\n";
    for (size_t cut = 1; cut < octets.size(); ++cut) {
        std::vector<HttpReply> replies(1);
        std::string input;
        for (auto piece : {octets.substr(0, cut), octets.substr(cut)}) {
            input += piece;
            while (!input.empty()) {
                size_t before = input.size();
                ASSERT_TRUE(replies.back().take(input)) << cut;
                if (replies.back().complete()) replies.emplace_back();
                if (input.size() == before) break;
            }
        }
        ASSERT_EQ(replies.size(), 3u) << cut;
        EXPECT_EQ(replies[0].body(), "body");
        EXPECT_EQ(replies[1].body(), "abc0123456789");
        EXPECT_EQ(replies[1].status(), 429u);
        EXPECT_EQ(replies[1].retry_after_seconds(), 2);
    }
}

TEST(LoadHistogram, FindsPercentilesWithinItsClasses) {
    Histogram histogram;
    for (int i = 1; i <= 1000; ++i) histogram.record(std::chrono::microseconds(i));
    EXPECT_NEAR(histogram.percentile(0.5).count(), 0.5, 0.05);
    EXPECT_NEAR(histogram.percentile(0.99).count(), 0.99, 0.09);
}

/// A sink in a thread of its own, with the script that a test gives it.
struct LivingSink {
    bench::Poller poller;
    sink::Shared shared;
    sink::Server server;
    std::atomic<bool> stop = false;
    std::thread thread;

    explicit LivingSink(sink::Script script, sink::Policy policy = {})
        : shared{.policy = policy, .script = std::move(script)},
          server(poller, shared, {.listen = *bench::parse_endpoints("127.0.0.1:0")}),
          thread([this] {
              while (!stop) poller.turn(std::min(server.run_due(), std::chrono::milliseconds(10)));
          }) {}
    ~LivingSink() { halt(); }

    /// The tally may be read behind this.
    void halt() {
        stop = true;
        if (thread.joinable()) thread.join();
    }
    RunOptions options() const {
        return {.server = *bench::parse_endpoint("127.0.0.1:" + std::to_string(server.port())),
                .recipients = 500,
                .clients = 7};
    }
};

TEST(LoadSmtp, DeliversEveryMessageOnceThroughRefusalsAndLostConnections) {
    sink::Script script;
    script.mixes[size_t(sink::Stage::rcpt)] =
        *sink::Mix::parse("10% 550 5.1.1 no, 1% 451 4.7.1 later");
    script.mixes[size_t(sink::Stage::final)] = *sink::Mix::parse("1% drop");
    for (bool chunking : {false, true}) {
        LivingSink sink(script, {.messages_per_connection = 40});
        RunOptions options = sink.options();
        options.chunking = chunking;
        options.window = 5;
        Progress progress(Progress::Style::none);
        Corpus sent = corpus("d{0..9}.demo.test");
        Report report = run_smtp(options, sent, progress);
        sink.halt();
        EXPECT_EQ(report.accepted + report.rejected, 500u);
        EXPECT_EQ(report.accepted, sink.shared.tally.messages_accepted);
        EXPECT_NEAR(double(report.rejected), 50, 25);
        EXPECT_GT(report.throttled, 0u);
        EXPECT_FALSE(report.complete());
        for (uint64_t fault : sink.shared.tally.faulty) EXPECT_EQ(fault, 0u);
    }
}

TEST(LoadSmtp, SaysThatTheServerDoesNotTakeChunks) {
    LivingSink sink({}, {.chunking = false});
    RunOptions options = sink.options();
    options.chunking = true;
    Progress progress(Progress::Style::none);
    Corpus sent = corpus("x.test");
    EXPECT_EQ(run_smtp(options, sent, progress).error,
              "the server does not offer CHUNKING; run without --bdat");
}

TEST(LoadSmtp, GivesUpWhenNothingIsAnswered) {
    sink::Script script;
    script.accept_on_try = 0;
    script.mixes[size_t(sink::Stage::rcpt)] = *sink::Mix::parse("100% 451 4.7.1 later");
    LivingSink sink(script);
    RunOptions options = sink.options();
    options.patience = std::chrono::milliseconds(50);
    Progress progress(Progress::Style::none);
    Corpus sent = corpus("x.test");
    Report report = run_smtp(options, sent, progress);
    EXPECT_EQ(report.accepted, 0u);
    EXPECT_NE(report.error, "");
}

/// An HTTP server in a thread of its own; the answer function is the test's.
struct LivingApi {
    bench::Poller poller;
    sink::RequestServer server;
    std::atomic<bool> stop = false;
    std::thread thread;

    explicit LivingApi(sink::Answer answer)
        : server(poller, *bench::parse_endpoint("127.0.0.1:0"), sink::After::keep,
                 std::move(answer)),
          thread([this] {
              while (!stop) poller.turn(std::chrono::milliseconds(10));
          }) {}
    ~LivingApi() {
        stop = true;
        thread.join();
    }
    RunOptions options(unsigned clients) const {
        return {.server = *bench::parse_endpoint("127.0.0.1:" + std::to_string(server.port())),
                .recipients = 60,
                .clients = clients};
    }
};

TEST(LoadJson, SendsAThrottledRequestAgainAndCountsTheRefused) {
    unsigned requests = 0;
    LivingApi api([&](std::string& request) -> std::string {
        size_t head = request.find("\r\n\r\n");
        if (head == std::string::npos || !request.ends_with("]}")) return {};
        size_t recipients = 0;
        for (size_t at = 0; (at = request.find("\"to\"", at)) != std::string::npos; ++at)
            ++recipients;
        request.clear();
        if (++requests == 2)
            return "HTTP/1.1 429 Slow\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n";
        if (requests == 3)
            return "HTTP/1.1 422 No\r\nContent-Length: 4\r\nConnection: close\r\n\r\nwhy?";
        std::string body =
            "{\"job\":\"j\",\"accepted\":" + std::to_string(recipients) + ",\"rejected\":[]}";
        return "HTTP/1.1 202 Accepted\r\nContent-Length: " + std::to_string(body.size()) +
               "\r\n\r\n" + body;
    });
    RunOptions options = api.options(3);
    options.per_request = 10;
    Progress progress(Progress::Style::none);
    Corpus sent = corpus("x.test");
    Report report = run_json(options, sent, progress);
    EXPECT_EQ(report.accepted, 50u);
    EXPECT_EQ(report.rejected, 10u);
    EXPECT_EQ(report.throttled, 1u);
    EXPECT_EQ(report.error, "422 why?");
}

TEST(LoadNdjson, ReadsTheAnswerWhileItStillSends) {
    for (unsigned clients : {1u, 4u}) {
        LivingApi api([](std::string& request) -> std::string {
            auto chunk = [](std::string text) {
                char size[16];
                std::snprintf(size, sizeof size, "%zx", text.size());
                return std::string(size) + "\r\n" + text + "\r\n";
            };
            if (request.starts_with("POST") && request.size() < 64) return {};
            std::string out;
            if (request.starts_with("POST"))
                out = "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n";
            bool over = request.ends_with("\r\n0\r\n\r\n");
            // TCP cuts where it likes: what may be the front of a mark waits for the rest of it.
            size_t taken = over ? request.size() : request.size() - std::min<size_t>(request.size(), 12);
            size_t lines = 0;
            for (size_t at = 0; (at = request.find("{\"to\"", at)) < taken; ++at) ++lines;
            request.erase(0, taken);
            if (lines > 0)
                out += chunk("{\"job\":\"j\",\"accepted\":" + std::to_string(lines) + "}\n");
            return over ? out + chunk("{\"accepted\":1000}\n") + "0\r\n\r\n" : out;
        });
        Progress progress(Progress::Style::none);
        Corpus sent = corpus("x.test", 2);
        Report report = run_ndjson(api.options(clients), sent, progress);
        EXPECT_EQ(report.accepted, 60u);
        EXPECT_TRUE(report.complete()) << report.error;
    }
}

}  // namespace
}  // namespace load
