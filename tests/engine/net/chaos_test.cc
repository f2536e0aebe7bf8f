// Everything at once, by a seed: short deadlines, closes under pending reads and writes, tiny pools
// and queues. What must hold at the end: every task came back, every buffer and every descriptor
// too.
#include <gtest/gtest.h>

#include <filesystem>

#include "engine/net/dialer.h"
#include "engine/net/listener.h"
#include "engine/net/tcp_stream.h"
#include "engine/reactor/sleep.h"
#include "tests/engine/reactor/support/loop.h"

namespace engine::test {
namespace {

struct Chaos {
    explicit Chaos(uint64_t seed) : random(seed) {
        listener = *Listener::open(*loop.reactor, *SocketAddress::parse("127.0.0.1:0"));
    }
    uint64_t below(uint64_t bound) { return random() % bound; }
    Instant soon() { return loop.reactor->now() + std::chrono::milliseconds(below(8)); }

    Loop loop{{.entries = 8, .buffer_count = 4, .buffer_count_max = 8, .buffer_bytes = 256}};
    std::mt19937_64 random;
    std::unique_ptr<Listener> listener;
    int clients = 0;
    uint64_t operations = 0;
};

Task<> close_later(Chaos& chaos, Stream& stream) {
    const Instant when = chaos.soon();
    co_await sleep_until(*chaos.loop.reactor, when);
    stream.close();
}

Task<> read_some(Chaos& chaos, Stream& stream) {
    for (uint64_t i = chaos.below(6); i > 0; --i) {
        stream.expires_at(chaos.soon());
        const auto bytes = co_await stream.read();
        ++chaos.operations;
        if (bytes) {
            EXPECT_FALSE(bytes->empty());
        } else if (bytes.error().code != Errc::timeout) {
            co_return;
        }
        // Others need the buffer while we keep it and do something else.
        if (chaos.below(4) == 0) co_await sleep_for(*chaos.loop.reactor, 1ms);
    }
}

Task<> write_some(Chaos& chaos, Stream& stream) {
    for (uint64_t i = chaos.below(6); i > 0; --i) {
        const std::string text(chaos.below(20) == 0 ? 4 << 20 : chaos.below(5000), 'x');
        const std::string_view chunks[] = {text, "", text};
        stream.expires_at(chaos.soon());
        const auto sent = co_await stream.write(chunks);
        ++chaos.operations;
        if (!sent) co_return;
    }
}

Task<> live(Chaos& chaos, std::unique_ptr<Stream> stream) {
    Scope scope;
    scope.spawn(read_some(chaos, *stream));
    scope.spawn(write_some(chaos, *stream));
    if (chaos.below(2) == 0) scope.spawn(close_later(chaos, *stream));
    co_await scope.join();
}

Task<> serve(Chaos& chaos) {
    while (true) {
        const auto fd = co_await chaos.listener->accept();
        if (!fd) co_return;
        chaos.loop.scope.spawn(
            live(chaos, std::make_unique<TcpStream>(*chaos.loop.reactor, *fd, "")));
    }
}

Task<> be_client(Chaos& chaos, int rounds) {
    for (int i = 0; i < rounds; ++i) {
        const Instant deadline =
            chaos.loop.reactor->now() + std::chrono::milliseconds(chaos.below(20));
        auto stream =
            co_await dial(*chaos.loop.reactor, chaos.listener->address(), nullptr, deadline);
        if (stream) co_await live(chaos, std::move(*stream));
    }
    if (--chaos.clients == 0) chaos.listener->close();
}

size_t open_descriptors() {
    size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
        ++count;
    return count;
}

class ChaosTest : public testing::TestWithParam<uint64_t> {};

TEST_P(ChaosTest, EndsWithNothingLeftBehind) {
    const size_t before = open_descriptors();
    {
        Chaos chaos(GetParam());
        chaos.clients = 20;
        chaos.loop.scope.spawn(serve(chaos));
        for (int i = chaos.clients; i > 0; --i) chaos.loop.scope.spawn(be_client(chaos, 10));
        chaos.loop.run();
        const ReactorStats& stats = chaos.loop.reactor->stats();
        EXPECT_EQ(stats.buffers_free, stats.buffers_total);
        EXPECT_GT(chaos.operations, 200U);
    }
    EXPECT_EQ(open_descriptors(), before);
}
INSTANTIATE_TEST_SUITE_P(Seeds, ChaosTest, testing::Range<uint64_t>(1, 9));

}  // namespace
}  // namespace engine::test
