// The sink's DNS answers, and its server over real sockets.
#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <unistd.h>

#include <random>

#include "bench/sink/server.h"
#include "bench/sink/zone.h"

using namespace std::string_literals;

namespace sink {
namespace {

std::string query(std::string_view name, uint16_t type) {
    std::string out("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00", 12);
    while (!name.empty()) {
        auto label = name.substr(0, name.find('.'));
        out += char(label.size());
        out += label;
        name.remove_prefix(std::min(name.size(), label.size() + 1));
    }
    return out + '\0' + char(type >> 8) + char(type & 255) + '\0' + '\1';
}

struct Asked {
    Tally tally;
    Zone zone{ZoneOptions{.domains = 10, .sites = 4, .addresses = {0x7f3c0001, 0x7f3c0002}}};

    unsigned rcode(std::string_view name, uint16_t type) {
        return unsigned(zone.answer(query(name, type), tally)->at(3)) & 15;
    }
    unsigned answers(std::string_view name, uint16_t type) {
        return unsigned(zone.answer(query(name, type), tally)->at(7));
    }
};

TEST(SinkZone, NamesTheMailHostsOfItsDomains) {
    Asked asked;
    EXPECT_EQ(asked.answers("d1.demo.test", 15), 1u);
    EXPECT_EQ(asked.answers("d4.demo.test", 15), 2u);
    EXPECT_NE(asked.zone.answer(query("D5.Demo.Test", 15), asked.tally)->find("\3mx1\4demo\4test"),
              std::string::npos);
    EXPECT_TRUE(
        asked.zone.answer(query("mx1.demo.test", 1), asked.tally)->ends_with("\x7f\x3c\x00\x02"s));
}

TEST(SinkZone, TellsWhatDoesNotExistFromWhatHasNoSuchRecord) {
    Asked asked;
    EXPECT_EQ(asked.rcode("d10.demo.test", 15), 3u);
    EXPECT_EQ(asked.rcode("example.com", 15), 3u);
    EXPECT_EQ(asked.rcode("mx4.demo.test", 1), 3u);
    EXPECT_EQ(asked.rcode("mx1.demo.test", 28), 0u);
    EXPECT_EQ(asked.answers("mx1.demo.test", 28), 0u);
    EXPECT_EQ(asked.rcode("servfail.demo.test", 15), 2u);
    EXPECT_EQ(asked.answers("null.demo.test", 15), 1u);
}

TEST(SinkZone, OutlivesRandomQueries) {
    Asked asked;
    std::mt19937_64 random(7);
    for (int run = 0; run < 20'000; ++run) {
        std::string octets = query("d3.demo.test", 15);
        for (int i = 0; i < 4; ++i) octets[random() % octets.size()] = char(random() % 256);
        octets.resize(random() % (octets.size() + 1));
        if (auto answer = asked.zone.answer(octets, asked.tally)) {
            ASSERT_LE(answer->size(), 512u);
        }
    }
}

/// A client and the server in one thread: the kernel keeps what either of them wrote.
struct Wire {
    bench::Poller poller;
    Shared shared;
    Server server;
    int fd;

    explicit Wire(ServerOptions options = {}) : server(poller, shared, local(std::move(options))) {
        sockaddr_in address{.sin_family = AF_INET, .sin_port = htons(server.port())};
        inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
        fd = ::socket(AF_INET, SOCK_STREAM, 0);
        EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    }
    ~Wire() { ::close(fd); }

    static ServerOptions local(ServerOptions options) {
        options.listen = *bench::parse_endpoints("127.0.0.1:0");
        return options;
    }

    /// Sends and lets the server work until it has said `octets` more octets, closed, or 200 turns
    /// have gone.
    std::string exchange(std::string_view request, size_t octets) {
        if (!request.empty())
            EXPECT_EQ(::send(fd, request.data(), request.size(), MSG_NOSIGNAL),
                      ssize_t(request.size()));
        std::string said;
        for (int turn = 0; turn < 200 && said.size() < octets; ++turn) {
            poller.turn(std::min(server.run_due(), std::chrono::milliseconds(10)));
            char buffer[4096];
            ssize_t count = ::recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
            if (count == 0) return said + "<closed>";
            if (count > 0) said.append(buffer, size_t(count));
        }
        return said;
    }
};

TEST(SinkServer, GreetsAndTakesAMessage) {
    Wire wire;
    EXPECT_EQ(wire.exchange("", 1), "220 sink.test ESMTP sink\r\n");
    EXPECT_EQ(wire.exchange("HELO c\r\n", 1), "250 sink.test\r\n");
    EXPECT_EQ(wire.exchange("MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nBDAT 2 LAST\r\n\r\nQUIT\r\n", 1000),
              "250 2.1.0 ok\r\n250 2.1.5 ok\r\n250 2.0.0 taken\r\n221 2.0.0 bye\r\n<closed>");
}

TEST(SinkServer, DelaysRepliesWithoutMixingThemUp) {
    Wire wire({.delay = std::chrono::milliseconds(3), .final_delay = std::chrono::milliseconds(5)});
    std::string said = wire.exchange(
        "HELO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nBDAT 2 LAST\r\n\r\nNOOP\r\nQUIT\r\n", 1000);
    EXPECT_EQ(said,
              "220 sink.test ESMTP sink\r\n250 sink.test\r\n250 2.1.0 ok\r\n250 2.1.5 ok\r\n250 "
              "2.0.0 taken\r\n"
              "250 2.0.0 ok\r\n221 2.0.0 bye\r\n<closed>");
}

TEST(SinkServer, AnswersMoreCommandsThanFitIntoItsReplies) {
    Wire wire;
    std::string noops;
    for (int i = 0; i < 6000; ++i) noops += "NOOP\r\n";
    std::string said = wire.exchange(noops + "QUIT\r\n", 1'000'000);
    EXPECT_TRUE(said.ends_with("221 2.0.0 bye\r\n<closed>"));
    EXPECT_EQ(said.size(), 26 + 6000 * 14 + 15 + 8u);
}

TEST(SinkServer, ClosesASilentConnection) {
    Wire wire({.idle = std::chrono::milliseconds(1)});
    EXPECT_TRUE(wire.exchange("", 1000).ends_with("<closed>"));
    EXPECT_EQ(wire.shared.tally.connections_timed_out, 1u);
}

TEST(SinkServer, OutlivesRandomOctets) {
    std::mt19937_64 random(3);
    for (int run = 0; run < 50; ++run) {
        Wire wire;
        std::string octets;
        for (int i = 0; i < 8000; ++i) octets += char(random() % 5 ? random() % 256 : '\n');
        wire.exchange("EHLO x\r\n" + octets, 100'000);
    }
}

}  // namespace
}  // namespace sink
