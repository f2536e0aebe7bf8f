// What the seam promises, over real sockets.
#include "engine/reactor/uring_reactor.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>

#include "engine/reactor/sleep.h"
#include "tests/engine/reactor/support/loop.h"

namespace engine::test {
namespace {

size_t open_descriptors() {
    size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
        ++count;
    return count;
}

Task<> do_op(Reactor& reactor, Op& op, std::optional<int>& result) {
    result = co_await perform(reactor, op);
}

struct Pending {
    Op op;
    std::optional<int> result;
};
void start(Loop& loop, Pending& pending) {
    loop.scope.spawn(do_op(*loop.reactor, pending.op, pending.result));
    for (int i = 0; i < 3; ++i) loop.reactor->turn(loop.reactor->now());
    EXPECT_FALSE(pending.result);
}

/// A socket of the reactor and a plain one that it is connected to.
struct Pair {
    explicit Pair(Loop& loop) {
        const int listener =
            loop.reactor->listen_on(*SocketAddress::parse("127.0.0.1:0"), 1).value();
        const SocketAddress to = loop.reactor->local_address(listener).value();
        peer = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        EXPECT_EQ(::connect(peer, to.raw(), to.size), 0);
        Pending accept{.op = {.kind = Op::Kind::accept, .fd = listener}};
        loop.scope.spawn(do_op(*loop.reactor, accept.op, accept.result));
        loop.run();
        ours = *accept.result;
        loop.reactor->close_socket(listener);
        loop.settle();
    }
    ~Pair() {
        if (peer >= 0) ::close(peer);
    }
    int ours = -1;
    int peer = -1;
};

TEST(UringReactor, EndsACancelledOperationOfEveryKind) {
    Loop loop;
    Pair pair(loop);
    Pair idle(loop);
    const int listener = loop.reactor->listen_on(*SocketAddress::parse("127.0.0.1:0"), 1).value();
    const std::string much(32 << 20, 'x');
    const iovec chunk{const_cast<char*>(much.data()), much.size()};
    Pending all[] = {
        {.op = {.kind = Op::Kind::recv, .fd = pair.ours}},
        {.op = {.kind = Op::Kind::accept, .fd = listener}},
        {.op = {.kind = Op::Kind::poll, .fd = idle.ours, .poll_events = POLLIN}},
        {.op = {.kind = Op::Kind::sleep, .deadline = loop.reactor->now() + 1h}},
        {.op = {.kind = Op::Kind::sleep}},
    };
    Pending send{.op = {.kind = Op::Kind::send, .fd = pair.ours, .chunks = {&chunk, 1}}};
    for (Pending& pending : all) start(loop, pending);
    start(loop, send);
    for (Pending& pending : all) loop.reactor->cancel(pending.op);
    loop.reactor->cancel(send.op);
    loop.reactor->cancel(send.op);
    loop.run();
    for (Pending& pending : all) EXPECT_EQ(pending.result, -ECANCELED);
    // Part of it was in the socket's buffer already: that is what the kernel reports.
    EXPECT_TRUE(send.result == -ECANCELED || *send.result > 0) << *send.result;
    for (const int fd : {pair.ours, idle.ours, listener}) loop.reactor->close_socket(fd);
    loop.settle();
}

TEST(UringReactor, EndsEveryOperationAtItsDeadline) {
    Loop loop;
    Pair pair(loop);
    const int listener = loop.reactor->listen_on(*SocketAddress::parse("127.0.0.1:0"), 1).value();
    const Instant soon = loop.reactor->now() + 20ms;
    Pending all[] = {
        {.op = {.kind = Op::Kind::recv, .fd = pair.ours, .deadline = soon}},
        {.op = {.kind = Op::Kind::accept, .fd = listener, .deadline = soon}},
        {.op = {.kind = Op::Kind::poll, .fd = pair.ours, .poll_events = POLLIN, .deadline = soon}},
    };
    for (Pending& pending : all) start(loop, pending);
    loop.run();
    for (Pending& pending : all) EXPECT_EQ(pending.result, -ETIME);
    EXPECT_GE(loop.reactor->now(), soon);
    for (const int fd : {pair.ours, listener}) loop.reactor->close_socket(fd);
    loop.settle();
}

TEST(UringReactor, EndsWhatIsPendingOnASocketThatIsClosed) {
    const size_t before = open_descriptors();
    {
        Loop loop;
        Pair pair(loop);
        Pending receive{.op = {.kind = Op::Kind::recv, .fd = pair.ours}};
        Pending poll{.op = {.kind = Op::Kind::poll, .fd = pair.ours, .poll_events = POLLPRI}};
        start(loop, receive);
        start(loop, poll);
        loop.reactor->close_socket(pair.ours);
        loop.run();
        EXPECT_EQ(receive.result, -ECANCELED);
        EXPECT_EQ(poll.result, -ECANCELED);
        char byte = 0;
        EXPECT_EQ(::recv(pair.peer, &byte, 1, 0), 0) << "the peer must see the close";
    }
    EXPECT_EQ(open_descriptors(), before);
}

TEST(UringReactor, WaitsForReadinessOfAnyDescriptor) {
    Loop loop;
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    Pending poll{.op = {.kind = Op::Kind::poll, .fd = ends[0], .poll_events = POLLIN}};
    start(loop, poll);
    ASSERT_EQ(::write(ends[1], "x", 1), 1);
    loop.run();
    EXPECT_EQ(*poll.result & POLLIN, POLLIN);
    ::close(ends[0]);
    ::close(ends[1]);
}

// c-ares opens and closes its sockets itself; the number comes back to us while its last poll is
// still under way.
TEST(UringReactor, TellsANewSocketFromALibrarysOldOneOfTheSameNumber) {
    Loop loop;
    const int foreign = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    Pending poll{.op = {.kind = Op::Kind::poll, .fd = foreign, .poll_events = POLLIN}};
    start(loop, poll);
    loop.reactor->cancel(poll.op);
    ::close(foreign);
    const int ours = loop.reactor->open_socket(AF_INET, nullptr).value();
    EXPECT_EQ(ours, foreign);
    loop.run();
    EXPECT_EQ(poll.result, -ECANCELED);
    loop.reactor->close_socket(ours);
    loop.settle();
}

TEST(UringReactor, HoldsBackAPeerThatSendsMoreThanAnybodyReads) {
    Loop loop({.entries = 64, .buffer_count = 64, .buffer_bytes = 1024});
    Pair pair(loop);
    std::string sent;
    Pending first{.op = {.kind = Op::Kind::recv, .fd = pair.ours}};
    start(loop, first);
    for (int i = 0; i < 200; ++i) {
        const std::string piece(1000, static_cast<char>('a' + i % 26));
        ASSERT_EQ(::send(pair.peer, piece.data(), piece.size(), 0), 1000);
        sent += piece;
        loop.reactor->turn(loop.reactor->now());
    }
    EXPECT_GT(loop.reactor->stats().buffers_free, 64U - 12) << "the inbox has no bound";
    std::string received(loop.reactor->bytes(first.op));
    loop.reactor->release(first.op.buffer);
    while (received.size() < sent.size()) {
        Pending next{.op = {.kind = Op::Kind::recv, .fd = pair.ours}};
        loop.scope.spawn(do_op(*loop.reactor, next.op, next.result));
        loop.run();
        ASSERT_GT(*next.result, 0);
        received += loop.reactor->bytes(next.op);
        loop.reactor->release(next.op.buffer);
    }
    EXPECT_EQ(received, sent);
    loop.reactor->close_socket(pair.ours);
    loop.settle();
    EXPECT_EQ(loop.reactor->stats().buffers_free, 64U);
}

TEST(UringReactor, KeepsWhatCameBeforeTheEndOfTheStream) {
    Loop loop;
    Pair pair(loop);
    ASSERT_EQ(::send(pair.peer, "bye", 3, 0), 3);
    ::close(std::exchange(pair.peer, -1));
    for (const int expected : {3, 0, 0}) {
        Pending receive{.op = {.kind = Op::Kind::recv, .fd = pair.ours}};
        loop.scope.spawn(do_op(*loop.reactor, receive.op, receive.result));
        loop.run();
        EXPECT_EQ(receive.result, expected);
        if (expected > 0) loop.reactor->release(receive.op.buffer);
    }
    loop.reactor->close_socket(pair.ours);
    loop.settle();
}

TEST(UringReactor, ClosesConnectionsThatNobodyAccepted) {
    const size_t before = open_descriptors();
    {
        Loop loop;
        const int listener =
            loop.reactor->listen_on(*SocketAddress::parse("127.0.0.1:0"), 512).value();
        const SocketAddress to = loop.reactor->local_address(listener).value();
        std::vector<int> peers;
        for (int i = 0; i < 200; ++i) {
            peers.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
            ASSERT_EQ(::connect(peers.back(), to.raw(), to.size), 0);
        }
        Pending accept{.op = {.kind = Op::Kind::accept, .fd = listener}};
        loop.scope.spawn(do_op(*loop.reactor, accept.op, accept.result));
        loop.run();
        EXPECT_GE(*accept.result, 0);
        loop.reactor->close_socket(*accept.result);
        loop.reactor->close_socket(listener);
        loop.settle();
        for (const int peer : peers) ::close(peer);
    }
    EXPECT_EQ(open_descriptors(), before);
}

// Descriptors come back at once; a completion that reached the wrong file would show as a foreign
// byte or a hang.
TEST(UringReactor, NeverMixesUpSocketsThatShareANumberInTurn) {
    const size_t before = open_descriptors();
    {
        Loop loop({.entries = 16, .buffer_count = 32});
        std::mt19937 random(7);
        for (int i = 0; i < 500; ++i) {
            Pair pair(loop);
            Pending receive{.op = {.kind = Op::Kind::recv, .fd = pair.ours}};
            start(loop, receive);
            const char mark = static_cast<char>(i % 128);
            const bool sends = random() % 2 == 0;
            if (sends) ASSERT_EQ(::send(pair.peer, &mark, 1, 0), 1);
            if (random() % 2 == 0) loop.reactor->turn(loop.reactor->now());
            const bool arrived = receive.result.has_value();
            loop.reactor->close_socket(pair.ours);
            loop.run();
            if (arrived) {
                EXPECT_EQ(*receive.result, 1);
                EXPECT_EQ(loop.reactor->bytes(receive.op)[0], mark);
                loop.reactor->release(receive.op.buffer);
            } else {
                EXPECT_EQ(receive.result, -ECANCELED);
            }
        }
        EXPECT_EQ(loop.reactor->stats().buffers_free, loop.reactor->stats().buffers_total);
    }
    EXPECT_EQ(open_descriptors(), before);
}

TEST(UringReactor, LosesNoCompletionWhenItsQueueOverflows) {
    Loop loop({.entries = 2, .buffer_count = 256});
    std::vector<std::unique_ptr<Pair>> pairs;
    std::vector<Pending> receives(100);
    for (size_t i = 0; i < receives.size(); ++i) pairs.push_back(std::make_unique<Pair>(loop));
    for (size_t i = 0; i < receives.size(); ++i) {
        receives[i].op = {.kind = Op::Kind::recv, .fd = pairs[i]->ours};
        start(loop, receives[i]);
    }
    for (const auto& pair : pairs) ASSERT_EQ(::send(pair->peer, "x", 1, 0), 1);
    loop.run();
    for (Pending& receive : receives) {
        EXPECT_EQ(receive.result, 1);
        loop.reactor->release(receive.op.buffer);
        loop.reactor->close_socket(receive.op.fd);
    }
    loop.settle();
}

TEST(UringReactor, SaysWhenNothingIsLeftToWaitFor) {
    Loop loop;
    EXPECT_FALSE(loop.reactor->turn(Instant::max()));
    Pending nap{.op = {.kind = Op::Kind::sleep, .deadline = loop.reactor->now() + 2ms}};
    loop.scope.spawn(do_op(*loop.reactor, nap.op, nap.result));
    while (loop.reactor->turn(Instant::max())) continue;
    EXPECT_EQ(nap.result, 0);
}

TEST(UringReactor, TurnsNoLongerThanAsked) {
    Loop loop;
    Pending nap{.op = {.kind = Op::Kind::sleep, .deadline = loop.reactor->now() + 1h}};
    loop.scope.spawn(do_op(*loop.reactor, nap.op, nap.result));
    EXPECT_TRUE(loop.reactor->turn(loop.reactor->now() + 5ms));
    EXPECT_FALSE(nap.result);
    loop.reactor->cancel(nap.op);
    loop.run();
}

TEST(UringReactor, CountsTheTimeOfALoopThatNeverSleeps) {
    Loop loop;
    Pending nap{.op = {.kind = Op::Kind::sleep, .deadline = loop.reactor->now() + 1h}};
    loop.scope.spawn(do_op(*loop.reactor, nap.op, nap.result));
    const Instant until = std::chrono::steady_clock::now() + 20ms;
    while (loop.reactor->now() < until) loop.reactor->turn(loop.reactor->now());
    EXPECT_GT(loop.reactor->stats().busy, 10ms);
    loop.reactor->cancel(nap.op);
    loop.run();
}

TEST(UringReactor, CountsItsOwnTimeButNotItsSleep) {
    Loop loop;
    loop.scope.spawn(sleep_for(*loop.reactor, 50ms));
    loop.run();
    EXPECT_LT(loop.reactor->stats().busy, 25ms);
    EXPECT_GT(loop.reactor->stats().busy, 0ns);
}

/// Threads behind it have work, and nothing else comes of it.
struct SaturatedSource : Source {
    bool drain() override { return false; }
    bool pending() const override { return false; }
    bool saturated() const override { return true; }
};

TEST(UringReactor, SleepsOnlyForAMomentBesideASaturatedSource) {
    SaturatedSource source;
    Loop loop;
    loop.reactor->add_source(source);
    const Instant before = std::chrono::steady_clock::now();
    loop.reactor->turn(before + 1h);
    EXPECT_LT(loop.reactor->now(), before + 1min);
}

TEST(UringReactor, TakesWhatHasComeBesideASaturatedSource) {
    SaturatedSource source;
    Loop loop;
    loop.reactor->add_source(source);
    Pair pair(loop);
    Pending recv{.op = {.kind = Op::Kind::recv, .fd = pair.ours}};
    start(loop, recv);
    EXPECT_EQ(::send(pair.peer, "x", 1, 0), 1);
    loop.run();
    EXPECT_EQ(recv.result, 1);
    loop.reactor->release(recv.op.buffer);
    loop.reactor->close_socket(pair.ours);
    loop.settle();
}

/// As a container's default profile does.
void deny_io_uring(uint32_t answer) {
    sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | answer),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog program{std::size(rules), rules};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}
[[noreturn]] void probe_when_denied(uint32_t answer) {
    deny_io_uring(answer);
    const auto probed = UringReactor::probe();
    if (!probed) std::fprintf(stderr, "%s\n", probed.error().what.c_str());
    std::_Exit(probed ? 0 : 1);
}

TEST(UringProbe, SucceedsHere) {
    const auto probed = UringReactor::probe();
    EXPECT_TRUE(probed) << probed.error().what;
}

TEST(UringProbe, NamesTheCauseAndTheCureWhenItIsDenied) {
    EXPECT_EXIT(probe_when_denied(EPERM), testing::ExitedWithCode(1),
                "EPERM.*(seccomp|io_uring_disabled)");
    EXPECT_EXIT(probe_when_denied(ENOSYS), testing::ExitedWithCode(1), "ENOSYS.*Linux 6.1");
    EXPECT_EXIT(probe_when_denied(EINVAL), testing::ExitedWithCode(1), "EINVAL.*Linux 6.1");
    EXPECT_EXIT(probe_when_denied(ENOMEM), testing::ExitedWithCode(1), "ENOMEM.*RLIMIT_MEMLOCK");
    EXPECT_EXIT(probe_when_denied(EMFILE), testing::ExitedWithCode(1), "RLIMIT_NOFILE");
}

}  // namespace
}  // namespace engine::test
