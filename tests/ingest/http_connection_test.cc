#include "ingest/http_connection.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/ingest/support/test_shard.h"

namespace ingest::test {
namespace {

constexpr std::string_view job =
    R"({"from":"b@s.test","content":{"from":"s@s.test","subject":"s","text":"t"},"recipients":[{"to":"a@x.test"}]})";

std::string chunked(std::string_view body, size_t size) {
    std::string out =
        "POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Type: "
        "application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (size_t at = 0; at < body.size(); at += size) {
        const auto part = body.substr(at, size);
        out += fmt::format("{:x}\r\n{}\r\n", part.size(), part);
    }
    return out + "0\r\n\r\n";
}

TEST(HttpConnection, ReadsARequestCutAtEveryByte) {
    TestShard shard;
    const std::string whole =
        http("POST", "/v1/messages", job) + chunked(job, 7) + http("GET", "/healthz");
    for (const size_t piece : {size_t{1}, size_t{2}, size_t{3}, size_t{17}, size_t{1000}}) {
        const auto wire = shard.connect();
        wire->piece = piece;
        wire->to_server = whole;
        const auto replies = shard.replies(*wire);
        ASSERT_EQ(replies.size(), 3u) << piece;
        EXPECT_EQ(replies[0].status, 202);
        EXPECT_EQ(replies[1].status, 202);
        EXPECT_EQ(replies[2].status, 200);
        EXPECT_FALSE(wire->server_closed);
    }
}

TEST(HttpConnection, ReadsARequestThatStopsAtEachByteForAWhile) {
    TestShard shard;
    const std::string whole = chunked(job, 50);
    for (size_t cut = 1; cut < whole.size(); ++cut) {
        const auto wire = shard.connect();
        wire->to_server = whole.substr(0, cut);
        EXPECT_TRUE(shard.replies(*wire).empty());
        shard.reactor.advance(1500ms);
        wire->to_server = whole.substr(cut);
        const auto replies = shard.replies(*wire);
        ASSERT_EQ(replies.size(), 1u) << cut;
        EXPECT_EQ(replies[0].status, 202);
        wire->client_closed = true;
        shard.replies(*wire);
    }
}

TEST(HttpConnection, AnswersPipelinedRequestsInOrder) {
    TestShard shard;
    const auto wire = shard.connect();
    wire->to_server = http("GET", "/healthz") + http("GET", "/nowhere") +
                      http("POST", "/v1/messages", job) + http("DELETE", "/healthz");
    const auto replies = shard.replies(*wire);
    ASSERT_EQ(replies.size(), 4u);
    EXPECT_EQ(replies[0].status, 200);
    EXPECT_EQ(replies[1].status, 404);
    EXPECT_EQ(replies[2].status, 202);
    EXPECT_EQ(replies[3].status, 405);
    EXPECT_EQ(replies[3].fields.at("allow"), "GET, HEAD");
}

TEST(HttpConnection, AnswersHeadWithoutABody) {
    TestShard shard;
    const auto wire = shard.connect();
    wire->to_server = http("HEAD", "/healthz");
    const auto replies = shard.replies(*wire, true);
    ASSERT_EQ(replies.size(), 1u);
    EXPECT_EQ(replies[0].fields.at("content-length"), "16");
    EXPECT_EQ(wire->from_server, "");
}

TEST(HttpConnection, SaysContinueOnlyWhenTheBodyIsWanted) {
    TestShard shard;
    const auto wire = shard.connect();
    const std::string whole =
        http("POST", "/v1/messages", job, "application/json", "Expect: 100-continue\r\n");
    wire->to_server = whole.substr(0, whole.size() - job.size());
    EXPECT_EQ(shard.replies(*wire).at(0).status, 100);
    wire->to_server = job;
    EXPECT_EQ(shard.replies(*wire).at(0).status, 202);

    const auto refused = shard.connect();
    refused->to_server =
        "POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Type: "
        "application/json\r\nContent-Length: 99999999\r\n"
        "Expect: 100-continue\r\n\r\n";
    const auto replies = shard.replies(*refused);
    ASSERT_EQ(replies.size(), 1u);
    EXPECT_EQ(replies[0].status, 413);
    EXPECT_EQ(replies[0].fields.at("connection"), "close");
}

TEST(HttpConnection, RefusesWhatIsNotHttpAndCloses) {
    TestShard shard;
    const std::string host = "Host: x\r\n";
    for (const auto& [bytes, status] :
         {std::pair<std::string, int>{"EHLO x\r\n\r\n", 400},
          {"GET / HTTP/1.1\r\n\r\n", 400},
          {"GET / HTTP/2.0\r\n" + host + "\r\n", 400},
          {"GET /healthz HTTP/1.1\r\n" + host + "A B: c\r\n\r\n", 400},
          {"POST / HTTP/1.1\r\n" + host + "Content-Length: x\r\n\r\n", 400},
          {"POST / HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\n", 400},
          {"POST / HTTP/1.1\r\n" + host + "Content-Length: 99999999999999999999\r\n\r\n", 400},
          {"POST / HTTP/1.1\r\n" + host + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
           400},
          {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
          {"POST / HTTP/1.1\r\n" + host + "Expect: tea\r\nContent-Length: 1\r\n\r\nx", 417},
          {"GET / HTTP/1.1\r\n" + host + "X: " + std::string(20'000, 'x') + "\r\n\r\n", 431},
          {std::string(20'000, 'x'), 431}}) {
        const auto wire = shard.connect();
        wire->to_server = bytes;
        const auto replies = shard.replies(*wire);
        ASSERT_EQ(replies.size(), 1u) << bytes.substr(0, 100);
        EXPECT_EQ(replies[0].status, status) << bytes.substr(0, 100);
        EXPECT_EQ(replies[0].fields.at("connection"), "close");
        shard.reactor.advance(3s);
        EXPECT_TRUE(wire->server_closed);
    }
    EXPECT_EQ(shard.request("GET", "/healthz").status, 200);
}

TEST(HttpConnection, RefusesABodyOverItsLimitHoweverItComes) {
    TestShard shard;
    const std::string big(JobLimits::request_bytes_max + 1, ' ');
    const auto announced = shard.connect();
    announced->to_server = fmt::format(
        "POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Type: "
        "application/json\r\nContent-Length: {}\r\n\r\n",
        big.size());
    EXPECT_EQ(shard.replies(*announced).at(0).status, 413);
    const auto streamed = shard.connect();
    streamed->to_server = chunked(big, 1 << 20);
    EXPECT_EQ(shard.replies(*streamed).at(0).status, 413);
    EXPECT_TRUE(shard.intake.jobs.empty());
}

TEST(HttpConnection, RefusesBadChunks) {
    TestShard shard;
    for (const std::string bad :
         {"zz\r\n", "5\r\nabcdefgh\r\n", "ffffffffffffffffff\r\n", "-1\r\n"}) {
        const auto wire = shard.connect();
        wire->to_server = chunked("", 1);
        wire->to_server.resize(wire->to_server.size() - 5);
        wire->to_server += bad;
        const auto replies = shard.replies(*wire);
        ASSERT_EQ(replies.size(), 1u) << bad;
        EXPECT_EQ(replies[0].status, 400);
    }
}

TEST(HttpConnection, EndsSlowAndIdlePeers) {
    TestShard shard;
    const auto idle = shard.connect(), header = shard.connect(), body = shard.connect();
    header->to_server = "GET /healthz HTTP/1.1\r\nHo";
    body->to_server = http("POST", "/v1/messages", job).substr(0, 150);
    shard.replies(*header);
    shard.replies(*body);
    shard.reactor.advance(29s);
    EXPECT_FALSE(header->server_closed);
    shard.reactor.advance(4s);
    EXPECT_EQ(shard.replies(*header).at(0).status, 408);
    EXPECT_TRUE(header->server_closed);
    shard.reactor.advance(31s);
    EXPECT_EQ(shard.replies(*body).at(0).status, 408);
    EXPECT_TRUE(idle->server_closed);
    EXPECT_EQ(idle->from_server, "");
}

TEST(HttpConnection, ClosesIdlePeersSoonWhenTheNodeStops) {
    TestShard shard;
    const auto idle = shard.connect(), busy = shard.connect();
    shard.intake.commit_takes = 5s;
    busy->to_server = http("POST", "/v1/messages", job);
    shard.replies(*busy);
    shard.draining = true;
    shard.reactor.advance(1s);
    EXPECT_TRUE(idle->server_closed);
    EXPECT_FALSE(busy->server_closed);
    shard.reactor.advance(5s);
    const auto replies = shard.replies(*busy);
    ASSERT_EQ(replies.size(), 1u);
    EXPECT_EQ(replies[0].status, 202);
    EXPECT_EQ(replies[0].fields.at("connection"), "close");
}

TEST(HttpConnection, KeepsToHttp10WithoutChunksAndCloses) {
    TestShard shard;
    const auto wire = shard.connect();
    wire->to_server = "GET /healthz HTTP/1.0\r\n\r\n";
    EXPECT_EQ(shard.replies(*wire).at(0).status, 200);
    EXPECT_TRUE(wire->server_closed);
}

TEST(HttpConnection, SurvivesAPeerThatGoesAwayAtAnyByte) {
    TestShard shard;
    const std::string whole = http("POST", "/v1/messages", job);
    for (size_t cut = 0; cut <= whole.size(); cut += 3) {
        const auto wire = shard.connect();
        wire->to_server = whole.substr(0, cut);
        wire->client_closed = wire->write_fails = true;
        shard.replies(*wire);
        EXPECT_TRUE(wire->server_closed) << cut;
    }
}

}  // namespace
}  // namespace ingest::test
