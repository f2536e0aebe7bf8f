// Streams over real loopback sockets, both ends on one reactor.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <numeric>

#include "engine/net/dialer.h"
#include "engine/net/listener.h"
#include "engine/net/tcp_stream.h"
#include "tests/engine/reactor/support/loop.h"

namespace engine::test {
namespace {

using StreamPtr = std::unique_ptr<Stream>;
using ListenerPtr = std::unique_ptr<Listener>;

ListenerPtr listen(UringReactor& reactor, const char* address = "127.0.0.1:0") {
    auto listener = Listener::open(reactor, *SocketAddress::parse(address));
    if (!listener) ADD_FAILURE() << listener.error().what;
    return std::move(*listener);
}

Task<Result<void>> say(Stream& stream, std::string text) {
    const std::string_view chunk = text;
    co_return co_await stream.write({&chunk, 1});
}

Task<> echo(UringReactor& reactor, int fd) {
    TcpStream stream(reactor, fd, peer_name(reactor, fd));
    while (true) {
        const auto bytes = co_await stream.read();
        if (!bytes) co_return;
        std::string copy(*bytes);
        if (!(co_await say(stream, std::move(copy)))) co_return;
    }
}

Task<> echo_all(UringReactor& reactor, Listener& listener, Scope& scope) {
    while (true) {
        const auto fd = co_await listener.accept();
        if (!fd) co_return;
        scope.spawn(echo(reactor, *fd));
    }
}

Task<std::string> read_exactly(Stream& stream, size_t size) {
    std::string all;
    while (all.size() < size) {
        const auto bytes = co_await stream.read();
        if (!bytes) {
            ADD_FAILURE() << bytes.error().what;
            co_return all;
        }
        all += *bytes;
    }
    co_return all;
}

Task<> talk(UringReactor& reactor, SocketAddress to, int rounds, size_t size, int& done, int last,
            Listener& listener) {
    {
        auto dialled = co_await dial(reactor, to, nullptr, reactor.now() + 30s);
        if (!dialled) {
            ADD_FAILURE() << dialled.error().what;
        } else {
            const StreamPtr stream = std::move(*dialled);
            stream->expires_at(reactor.now() + 30s);
            for (int i = 0; i < rounds; ++i) {
                std::string text(size, static_cast<char>('a' + (i + done) % 26));
                const auto sent = co_await say(*stream, text);
                EXPECT_TRUE(sent) << sent.error().what;
                EXPECT_EQ(co_await read_exactly(*stream, size), text);
            }
        }
    }
    if (++done == last) listener.close();
}

void talk_together(Loop& loop, int clients, int rounds, size_t size,
                   const char* where = "127.0.0.1:0") {
    const auto listener = listen(*loop.reactor, where);
    int done = 0;
    loop.scope.spawn(echo_all(*loop.reactor, *listener, loop.scope));
    for (int i = 0; i < clients; ++i) {
        loop.scope.spawn(
            talk(*loop.reactor, listener->address(), rounds, size, done, clients, *listener));
    }
    loop.run();
    EXPECT_EQ(done, clients);
    const ReactorStats& stats = loop.reactor->stats();
    EXPECT_EQ(stats.buffers_free, stats.buffers_total) << "a receive buffer leaked";
}

TEST(Pair, CarriesWhatIsSent) {
    Loop loop;
    talk_together(loop, 1, 10, 100);
}

TEST(Pair, ServesManyConnectionsAtOnce) {
    Loop loop;
    talk_together(loop, 300, 20, 700);
}

TEST(Pair, WorksOverAUnixSocket) {
    Loop loop;
    const std::string path = testing::TempDir() + "/pair." + std::to_string(getpid());
    talk_together(loop, 5, 5, 100, ("unix:" + path).c_str());
    EXPECT_NE(access(path.c_str(), F_OK), 0) << "the socket's file stayed";
}

TEST(Pair, WorksOverIpv6) {
    Loop loop;
    talk_together(loop, 3, 3, 100, "[::1]:0");
}

TEST(Pair, ManyConnectionsShareAPoolOfTwoBuffers) {
    Loop loop({.entries = 64, .buffer_count = 2, .buffer_count_max = 2, .buffer_bytes = 64});
    talk_together(loop, 50, 10, 500);
    EXPECT_GT(loop.reactor->stats().starvations, 0U);
}

TEST(Pair, GrowsThePoolUpToItsLimit) {
    Loop loop({.entries = 64, .buffer_count = 4, .buffer_count_max = 10, .buffer_bytes = 64});
    talk_together(loop, 50, 10, 500);
    EXPECT_EQ(loop.reactor->stats().buffers_total, 10U);
}

TEST(Pair, SubmitsMoreInATurnThanTheQueueHolds) {
    Loop loop({.entries = 4, .buffer_count = 8});
    talk_together(loop, 100, 5, 100);
}

Task<> write_much(UringReactor& reactor, SocketAddress to, size_t chunks, Listener& listener) {
    auto stream = (co_await dial(reactor, to, nullptr, Instant::max())).value();
    const std::string chunk(9973, 'x');
    const std::vector<std::string_view> all(chunks, chunk);
    const auto sent = co_await stream->write(all);
    EXPECT_TRUE(sent) << sent.error().what;
    listener.close();
}

Task<> count_bytes(UringReactor& reactor, Listener& listener, size_t& total) {
    const int fd = (co_await listener.accept()).value();
    TcpStream stream(reactor, fd, "");
    while (true) {
        const auto bytes = co_await stream.read();
        if (!bytes) {
            EXPECT_EQ(bytes.error().code, Errc::closed);
            co_return;
        }
        total += bytes->size();
    }
}

TEST(Pair, WritesMoreChunksThanOneSendTakesAndMoreBytesThanTheKernelHolds) {
    Loop loop({.entries = 64, .buffer_count = 4, .buffer_bytes = 1024});
    const auto listener = listen(*loop.reactor);
    size_t total = 0;
    loop.scope.spawn(count_bytes(*loop.reactor, *listener, total));
    loop.scope.spawn(write_much(*loop.reactor, listener->address(), 2000, *listener));
    loop.run();
    EXPECT_EQ(total, 2000U * 9973);
}

struct Connected {
    StreamPtr client;
    StreamPtr server;
};
Task<> accept_one(UringReactor& reactor, Listener& listener, StreamPtr& stream) {
    stream = std::make_unique<TcpStream>(reactor, (co_await listener.accept()).value(), "client");
}
Task<> dial_one(UringReactor& reactor, SocketAddress to, StreamPtr& stream) {
    stream = (co_await dial(reactor, to, nullptr, Instant::max())).value();
}
Connected connect(Loop& loop, Listener& listener) {
    Connected ends;
    loop.scope.spawn(accept_one(*loop.reactor, listener, ends.server));
    loop.scope.spawn(dial_one(*loop.reactor, listener.address(), ends.client));
    loop.run();
    return ends;
}

Task<> read_once(Stream& stream, std::optional<Result<std::string>>& result) {
    auto bytes = co_await stream.read();
    if (bytes)
        result = std::string(*bytes);
    else
        result = std::unexpected(bytes.error());
}

TEST(TcpStream, EndsAReadAtItsDeadlineAndGoesOnAfterwards) {
    Loop loop;
    const auto listener = listen(*loop.reactor);
    const Connected ends = connect(loop, *listener);
    std::optional<Result<std::string>> result;
    ends.client->expires_at(loop.reactor->now() + 20ms);
    loop.scope.spawn(read_once(*ends.client, result));
    loop.run();
    EXPECT_EQ(result->error().code, Errc::timeout);

    ends.client->expires_at(Instant::max());
    loop.scope.spawn(read_once(*ends.client, result));
    std::optional<Result<std::string>> unused;
    const std::string_view hello = "hello";
    const auto send = [](Stream& stream, std::string_view text) -> Task<> {
        EXPECT_TRUE(co_await stream.write({&text, 1}));
    };
    loop.scope.spawn(send(*ends.server, hello));
    loop.run();
    EXPECT_EQ(result->value(), "hello");
}

Task<> close_it(Stream& stream) {
    stream.close();
    co_return;
}

TEST(TcpStream, EndsAPendingReadWithClosedWhenItIsClosed) {
    Loop loop;
    const auto listener = listen(*loop.reactor);
    const Connected ends = connect(loop, *listener);
    std::optional<Result<std::string>> result;
    loop.scope.spawn(read_once(*ends.client, result));
    loop.reactor->turn(loop.reactor->now());
    loop.scope.spawn(close_it(*ends.client));
    loop.run();
    EXPECT_EQ(result->error().code, Errc::closed);
}

Task<> fill(Stream& stream, std::optional<Result<void>>& result) {
    const std::string much(64 << 20, 'x');
    const std::string_view chunk = much;
    result = co_await stream.write({&chunk, 1});
}

TEST(TcpStream, EndsAPendingWriteWithClosedWhenItIsClosed) {
    Loop loop;
    const auto listener = listen(*loop.reactor);
    const Connected ends = connect(loop, *listener);
    std::optional<Result<void>> result;
    loop.scope.spawn(fill(*ends.client, result));
    for (int i = 0; i < 5; ++i) loop.reactor->turn(loop.reactor->now() + 5ms);
    EXPECT_FALSE(result) << "64 MiB fitted into the socket";
    loop.scope.spawn(close_it(*ends.client));
    loop.run();
    EXPECT_EQ(result->error().code, Errc::closed);
}

TEST(TcpStream, EndsAPendingWriteAtItsDeadline) {
    Loop loop;
    const auto listener = listen(*loop.reactor);
    const Connected ends = connect(loop, *listener);
    std::optional<Result<void>> result;
    ends.client->expires_at(loop.reactor->now() + 30ms);
    loop.scope.spawn(fill(*ends.client, result));
    loop.run();
    EXPECT_EQ(result->error().code, Errc::timeout);
}

TEST(TcpStream, TellsAResetFromAnOrderlyEnd) {
    Loop loop;
    const auto listener = listen(*loop.reactor);
    Connected ends = connect(loop, *listener);
    std::optional<Result<std::string>> result;
    ends.server.reset();
    loop.scope.spawn(read_once(*ends.client, result));
    loop.run();
    EXPECT_EQ(result->error().code, Errc::closed);
    // The peer is gone: the first write draws the reset, the next one sees it.
    std::optional<Result<void>> written;
    loop.scope.spawn(fill(*ends.client, written));
    loop.run();
    EXPECT_EQ(written->error().code, Errc::reset);
}

Task<> dial_for_error(UringReactor& reactor, SocketAddress to, std::optional<SocketAddress> from,
                      std::optional<Error>& error) {
    auto stream = co_await dial(reactor, to, from ? &*from : nullptr, reactor.now() + 5s);
    if (!stream) error = stream.error();
}

TEST(Dial, NamesAPortWhereNobodyListens) {
    Loop loop;
    auto listener = listen(*loop.reactor);
    const SocketAddress nobody = listener->address();
    listener.reset();
    loop.settle();
    std::optional<Error> error;
    loop.scope.spawn(dial_for_error(*loop.reactor, nobody, {}, error));
    loop.run();
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code, Errc::refused);
    EXPECT_NE(error->what.find(nobody.to_string()), std::string::npos) << error->what;
}

TEST(Dial, LeavesFromTheSourceThatIsAsked) {
    Loop loop;
    const auto listener = listen(*loop.reactor);
    const auto source = SocketAddress::from_ip("127.0.0.77", 0);
    std::optional<Error> error;
    int fd = -1;
    const auto take = [](Listener& from, int& into) -> Task<> {
        into = (co_await from.accept()).value();
    };
    loop.scope.spawn(take(*listener, fd));
    loop.scope.spawn(dial_for_error(*loop.reactor, listener->address(), source, error));
    loop.run();
    EXPECT_FALSE(error);
    EXPECT_EQ(loop.reactor->peer_address(fd)->ip(), "127.0.0.77");
    loop.reactor->close_socket(fd);
    loop.settle();
}

TEST(Dial, RefusesASourceThatIsNotOurs) {
    Loop loop;
    std::optional<Error> error;
    loop.scope.spawn(dial_for_error(*loop.reactor, *SocketAddress::parse("127.0.0.1:9"),
                                    SocketAddress::from_ip("192.0.2.1", 0), error));
    loop.run();
    EXPECT_EQ(error->code, Errc::unreachable);
    EXPECT_NE(error->what.find("192.0.2.1"), std::string::npos) << error->what;
}

}  // namespace
}  // namespace engine::test
