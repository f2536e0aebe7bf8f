// The delay line over real sockets: what one end does is what the other end sees, later.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <random>

#include "bench/delay/line.h"

namespace delay {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto one_way = 5ms;
constexpr auto patience = 5s;

/// A client, the line, and a server that the test plays itself.
struct Wire {
    bench::Poller poller;
    bench::Socket server = bench::listen_on(*bench::parse_endpoint("127.0.0.1:0"));
    Line line{poller,
              {.listen = *bench::parse_endpoint("127.0.0.1:0"),
               .to = *bench::parse_endpoint("127.0.0.1:" +
                                            std::to_string(bench::local_port(server.fd()))),
               .one_way = one_way}};
    bench::Socket near = connect();
    bench::Socket far = accept();

    bench::Socket connect() const {
        bench::Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in to{.sin_family = AF_INET,
                       .sin_port = htons(line.port()),
                       .sin_addr = {htonl(INADDR_LOOPBACK)}};
        EXPECT_EQ(::connect(socket.fd(), reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
        return socket;
    }

    template <class Condition>
    bool turn_until(Condition condition) {
        for (auto give_up = Clock::now() + patience; Clock::now() < give_up;) {
            if (condition()) return true;
            poller.turn(1ms);
        }
        return false;
    }

    bench::Socket accept() {
        int fd = -1;
        turn_until([&] { return (fd = ::accept4(server.fd(), nullptr, nullptr, 0)) >= 0; });
        return bench::Socket(fd);
    }

    /// What recv() said, once it said anything: octets, 0 at the end, -1 after a reset.
    ssize_t receive(const bench::Socket& socket, std::string& into) {
        std::string buffer(65536, '\0');
        ssize_t count = -1;
        turn_until([&] {
            count = ::recv(socket.fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
            return count >= 0 || errno != EAGAIN;
        });
        if (count > 0) into.append(buffer, 0, size_t(count));
        return count;
    }
};

void send(const bench::Socket& socket, std::string_view octets) {
    ASSERT_EQ(::send(socket.fd(), octets.data(), octets.size(), MSG_NOSIGNAL),
              ssize_t(octets.size()));
}

TEST(DelayLine, LetsAConnectionArriveThreeWaysLate) {
    auto start = Clock::now();
    Wire wire;
    ASSERT_GE(wire.far.fd(), 0);
    EXPECT_GE(Clock::now() - start, 3 * one_way);
}

TEST(DelayLine, HoldsOctetsForOneWayInEachDirection) {
    Wire wire;
    auto start = Clock::now();
    std::string question, answer;
    send(wire.near, "question");
    wire.receive(wire.far, question);
    auto arrived = Clock::now();
    send(wire.far, "answer");
    wire.receive(wire.near, answer);
    EXPECT_EQ(question, "question");
    EXPECT_EQ(answer, "answer");
    EXPECT_GE(arrived - start, one_way);
    EXPECT_GE(Clock::now() - arrived, one_way);
}

TEST(DelayLine, KeepsALongStreamWholeWhileTheOtherEndReadsSlowly) {
    Wire wire;
    std::mt19937 random(7);
    std::string sent(16 * 1024 * 1024, '\0'), received;
    for (char& c : sent) c = char(random());
    size_t written = 0;
    while (received.size() < sent.size()) {
        ssize_t count = ::send(wire.near.fd(), sent.data() + written, sent.size() - written,
                               MSG_DONTWAIT | MSG_NOSIGNAL);
        if (count > 0) written += size_t(count);
        ASSERT_GT(wire.receive(wire.far, received), 0);
    }
    EXPECT_EQ(received, sent);
}

TEST(DelayLine, PassesAHalfCloseAndLeavesTheOtherDirectionOpen) {
    Wire wire;
    std::string text;
    send(wire.near, "last words");
    ::shutdown(wire.near.fd(), SHUT_WR);
    EXPECT_GT(wire.receive(wire.far, text), 0);
    EXPECT_EQ(wire.receive(wire.far, text), 0);
    send(wire.far, "heard");
    EXPECT_GT(wire.receive(wire.near, text), 0);
    EXPECT_EQ(text, "last wordsheard");
    ::shutdown(wire.far.fd(), SHUT_WR);
    EXPECT_EQ(wire.receive(wire.near, text), 0);
    EXPECT_TRUE(wire.turn_until([&] { return wire.line.open() == 0; }));
}

TEST(DelayLine, PassesAResetAsAReset) {
    Wire wire;
    linger abort{.l_onoff = 1, .l_linger = 0};
    setsockopt(wire.far.fd(), SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
    wire.far = bench::Socket();
    auto start = Clock::now();
    std::string text;
    EXPECT_EQ(wire.receive(wire.near, text), -1);
    EXPECT_EQ(errno, ECONNRESET);
    EXPECT_GE(Clock::now() - start, one_way - 1ms);
}

TEST(DelayLine, TurnsARefusedConnectionIntoAReset) {
    Wire wire;
    wire.server = bench::Socket();
    std::string text;
    bench::Socket near = wire.connect();
    EXPECT_EQ(wire.receive(near, text), -1);
    EXPECT_EQ(errno, ECONNRESET);
}

TEST(Lateness, NamesTheBucketThatHoldsTheQuantile) {
    Lateness lateness;
    for (int i = 0; i < 99; ++i) lateness.add(15us);
    lateness.add(3ms);
    EXPECT_EQ(lateness.quantile(0.5), 20us);
    EXPECT_EQ(lateness.quantile(0.99), 3010us);
    EXPECT_EQ(lateness.text(), "100 pieces, late by 20 us (p50), 3010 us (p99), 3000 us (max)");
}

}  // namespace
}  // namespace delay
