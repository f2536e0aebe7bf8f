#include "engine/net/listener.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "engine/net/tcp_stream.h"
#include "engine/reactor/sleep.h"
#include "tests/engine/reactor/support/loop.h"

namespace engine::test {
namespace {

std::string socket_path(const char* name) {
    return testing::TempDir() + "/" + name + "." + std::to_string(getpid()) + ".sock";
}
SocketAddress unix_address(const std::string& path) {
    return *SocketAddress::parse("unix:" + path);
}

TEST(Listener, GivesAUnixSocketToItsGroupOnly) {
    Loop loop;
    const std::string path = socket_path("mode");
    const auto listener = Listener::open(*loop.reactor, unix_address(path));
    ASSERT_TRUE(listener);
    struct stat status{};
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0660U);
}

TEST(Listener, ReplacesASocketThatAKilledProcessLeft) {
    Loop loop;
    const std::string path = socket_path("stale");
    const int dead = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_EQ(::bind(dead, unix_address(path).raw(), unix_address(path).size), 0);
    ::close(dead);
    const auto listener = Listener::open(*loop.reactor, unix_address(path));
    EXPECT_TRUE(listener) << listener.error().what;
}

TEST(Listener, LeavesASocketAloneThatSomebodyListensOn) {
    Loop loop;
    const std::string path = socket_path("taken");
    const auto first = Listener::open(*loop.reactor, unix_address(path));
    const auto second = Listener::open(*loop.reactor, unix_address(path));
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Errc::busy);
    EXPECT_NE(second.error().what.find(path), std::string::npos);
    EXPECT_EQ(access(path.c_str(), F_OK), 0);
}

TEST(Listener, DoesNotDeleteAFileThatIsNoSocket) {
    Loop loop;
    const std::string path = socket_path("file");
    std::ofstream(path) << "precious";
    const auto listener = Listener::open(*loop.reactor, unix_address(path));
    ASSERT_FALSE(listener);
    EXPECT_NE(listener.error().what.find("not a socket"), std::string::npos);
    EXPECT_EQ(access(path.c_str(), F_OK), 0);
    ::unlink(path.c_str());
}

TEST(Listener, NamesTheAddressThatItCannotBind) {
    Loop loop;
    const auto listener = Listener::open(*loop.reactor, *SocketAddress::parse("192.0.2.1:25"));
    ASSERT_FALSE(listener);
    EXPECT_NE(listener.error().what.find("192.0.2.1:25"), std::string::npos);
}

Task<> accept_once(Listener& listener, std::optional<Result<int>>& result) {
    result = co_await listener.accept();
}

TEST(Listener, EndsAWaitingAcceptWhenItIsClosed) {
    Loop loop;
    const auto listener = *Listener::open(*loop.reactor, *SocketAddress::parse("127.0.0.1:0"));
    std::optional<Result<int>> result;
    loop.scope.spawn(accept_once(*listener, result));
    loop.reactor->turn(loop.reactor->now());
    listener->close();
    listener->close();
    loop.run();
    EXPECT_EQ(result->error().code, Errc::closed);
}

TEST(Listener, IsSharedBetweenReactors) {
    Loop first;
    Loop second;
    const std::string path = socket_path("shared");
    auto listener = *Listener::open(*first.reactor, unix_address(path));
    const auto shared = *listener->share(*second.reactor);
    std::optional<Result<int>> result;
    second.scope.spawn(accept_once(*shared, result));
    const int peer = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_EQ(::connect(peer, unix_address(path).raw(), unix_address(path).size), 0);
    second.run();
    EXPECT_TRUE(result->has_value());
    second.reactor->close_socket(**result);
    shared->close();
    EXPECT_EQ(access(path.c_str(), F_OK), 0) << "the first one still listens";
    listener->close();
    EXPECT_NE(access(path.c_str(), F_OK), 0);
    first.settle();
    second.settle();
    ::close(peer);
}

TEST(Listener, LeavesASocketThatItWasGivenAsItFoundIt) {
    Loop loop;
    const SocketAddress address = unix_address(socket_path("given"));
    const int given = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_EQ(::bind(given, address.raw(), address.size), 0);
    ASSERT_EQ(::listen(given, 5), 0);
    const int peer = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_EQ(::connect(peer, address.raw(), address.size), 0);
    auto listener = *Listener::adopt(*loop.reactor, given);
    EXPECT_EQ(listener->address().to_string(), address.to_string());
    std::optional<Result<int>> result;
    loop.scope.spawn(accept_once(*listener, result));
    loop.run();
    ASSERT_TRUE(result->has_value());
    loop.reactor->close_socket(**result);
    listener->close();
    loop.settle();
    EXPECT_EQ(access(address.ip().c_str(), F_OK), 0) << "its file is the giver's";
    ::unlink(address.ip().c_str());
    ::close(peer);
}

/// No descriptor is free while it lives.
struct NoDescriptors {
    NoDescriptors() {
        getrlimit(RLIMIT_NOFILE, &before);
        const int next = ::dup(0);
        ::close(next);
        const rlimit none{static_cast<rlim_t>(next), before.rlim_max};
        setrlimit(RLIMIT_NOFILE, &none);
    }
    ~NoDescriptors() { setrlimit(RLIMIT_NOFILE, &before); }
    rlimit before{};
};

TEST(Listener, WaitsWithoutSpinningWhileNoDescriptorIsLeft) {
    Loop loop;
    const auto listener = *Listener::open(*loop.reactor, *SocketAddress::parse("127.0.0.1:0"));
    const int peer = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    std::optional<Result<int>> result;
    {
        const NoDescriptors none;
        loop.scope.spawn(accept_once(*listener, result));
        loop.reactor->turn(loop.reactor->now());
        ASSERT_EQ(::connect(peer, listener->address().raw(), listener->address().size), 0);
        const uint64_t enters = loop.reactor->stats().enters;
        const Instant until = std::chrono::steady_clock::now() + 60ms;
        while (loop.reactor->now() < until) loop.reactor->turn(until);
        EXPECT_FALSE(result);
        EXPECT_LT(loop.reactor->stats().enters - enters, 30U);
    }
    loop.run();
    ASSERT_TRUE(result->has_value());
    loop.reactor->close_socket(**result);
    ::close(peer);
    loop.settle();
}

// A peer with Nagle's algorithm that writes each reply in two pieces, as many mail servers do: the
// second piece waits for our ACK of the first, and our kernel would delay that ACK by 40 ms.
void two_piece_peer(int fd, int rounds) {
    char request[64];
    for (int i = 0; i < rounds && ::recv(fd, request, sizeof request, 0) > 0; ++i) {
        for (const std::string_view piece : {"250-first\r\n", "250 second\r\n"}) {
            if (::send(fd, piece.data(), piece.size(), MSG_NOSIGNAL) < 0) return;
        }
    }
}

Task<> converse(Reactor& reactor, int fd, int rounds) {
    TcpStream stream(reactor, fd, "peer");
    stream.expires_at(reactor.now() + 20s);
    for (int i = 0; i < rounds; ++i) {
        const std::string_view request = "NOOP\r\n";
        EXPECT_TRUE(co_await stream.write({&request, 1}));
        for (size_t size = 0; size < 23;) {
            const auto bytes = co_await stream.read();
            if (!bytes) co_return;
            size += bytes->size();
        }
    }
}

TEST(TcpStream, AcknowledgesAReplyThatComesInPiecesAtOnce) {
    constexpr int rounds = 50;
    Loop loop;
    const auto listener = *Listener::open(*loop.reactor, *SocketAddress::parse("127.0.0.1:0"));
    const int peer = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_EQ(::connect(peer, listener->address().raw(), listener->address().size), 0);
    std::optional<Result<int>> accepted;
    loop.scope.spawn(accept_once(*listener, accepted));
    loop.run();
    const std::jthread server(two_piece_peer, peer, rounds);
    const Instant before = std::chrono::steady_clock::now();
    loop.scope.spawn(converse(*loop.reactor, **accepted, rounds));
    loop.run();
    const auto taken = std::chrono::steady_clock::now() - before;
    RecordProperty("microseconds", static_cast<int>(taken / 1us));
    RecordProperty("quickacks", static_cast<int>(loop.reactor->stats().quickacks));
    EXPECT_LT(taken, rounds * 20ms);  // 44 ms each without
    listener->close();
    loop.settle();
    ::shutdown(peer, SHUT_RDWR);
}

}  // namespace
}  // namespace engine::test
