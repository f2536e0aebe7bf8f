// Costs of the reactor: a call, a timer, a round trip, a hop to another thread.
#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include "engine/net/dialer.h"
#include "engine/net/listener.h"
#include "engine/net/tcp_stream.h"
#include "engine/reactor/call.h"
#include "engine/reactor/exchange.h"
#include "engine/reactor/scope.h"
#include "engine/reactor/shard_thread.h"
#include "engine/reactor/signal.h"
#include "engine/reactor/thread_worker.h"
#include "engine/reactor/uring_reactor.h"

namespace engine {
namespace {

std::chrono::nanoseconds cpu_time() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto of = [](const timeval& time) { return time.tv_sec * 1s + time.tv_usec * 1us; };
    return of(usage.ru_utime) + of(usage.ru_stime);
}

Task<int> leaf(int value) {
    co_return value + 1;
}
Task<> call_many(benchmark::State& state) {
    int value = 0;
    for ([[maybe_unused]] auto _ : state) value = co_await leaf(value);
    benchmark::DoNotOptimize(value);
}
void task_call(benchmark::State& state) {
    Scope scope;
    scope.spawn(call_many(state));
}
BENCHMARK(task_call);

void timer_add_and_remove(benchmark::State& state) {
    TimerWheel wheel{Instant{}};
    std::vector<TimerNode> nodes(100'000);
    for (size_t i = 0; i < nodes.size(); ++i)
        wheel.add(nodes[i], Instant{} + 1ms * (i * 7 % 600'000));
    size_t next = 0;
    for ([[maybe_unused]] auto _ : state) {
        TimerNode& node = nodes[next++ % nodes.size()];
        wheel.remove(node);
        wheel.add(node, Instant{} + 1ms * (next * 13 % 600'000));
    }
}
BENCHMARK(timer_add_and_remove);

Task<> echo(UringReactor& reactor, int fd) {
    TcpStream stream(reactor, fd, "");
    while (true) {
        const auto bytes = co_await stream.read();
        if (!bytes) co_return;
        const std::string_view chunk = *bytes;
        if (!co_await stream.write({&chunk, 1})) co_return;
    }
}
Task<> serve(UringReactor& reactor, Listener& listener, Scope& scope) {
    while (true) {
        const auto fd = co_await listener.accept();
        if (!fd) co_return;
        scope.spawn(echo(reactor, *fd));
    }
}
Task<> ping(UringReactor& reactor, SocketAddress to, int64_t rounds, int& left,
            Listener& listener) {
    {
        const auto stream = (co_await dial(reactor, to, nullptr, Instant::max())).value();
        const std::string_view request = "MAIL FROM:<a@example.com>\r\n";
        for (int64_t i = 0; i < rounds; ++i) {
            stream->expires_at(reactor.now() + 30s);
            if (!co_await stream->write({&request, 1})) std::abort();
            if (!co_await stream->read()) std::abort();
        }
    }
    if (--left == 0) listener.close();
}

// Both ends on one ring: a round trip is two messages.
void ping_pong(benchmark::State& state) {
    constexpr int64_t rounds = 200;
    const auto connections = static_cast<int>(state.range(0));
    auto reactor = std::move(UringReactor::create().value());
    const auto cpu_before = cpu_time();
    for ([[maybe_unused]] auto _ : state) {
        Scope scope;
        const auto listener = *Listener::open(*reactor, *SocketAddress::parse("127.0.0.1:0"));
        int left = connections;
        scope.spawn(serve(*reactor, *listener, scope));
        for (int i = 0; i < connections; ++i) {
            scope.spawn(ping(*reactor, listener->address(), rounds, left, *listener));
        }
        while (scope.running() > 0) reactor->turn(Instant::max());
    }
    const auto messages = static_cast<double>(state.iterations() * rounds * connections * 2);
    const ReactorStats& stats = reactor->stats();
    state.counters["enters/msg"] = static_cast<double>(stats.enters) / messages;
    state.counters["sqes/msg"] = static_cast<double>(stats.sqes) / messages;
    state.counters["quickacks/msg"] = static_cast<double>(stats.quickacks) / messages;
    state.counters["cpu_us/msg"] =
        static_cast<double>((cpu_time() - cpu_before).count()) / 1000 / messages;
}
BENCHMARK(ping_pong)->Arg(1)->Arg(10)->Arg(200)->Unit(benchmark::kMillisecond);

Task<> work_many(benchmark::State& state, Worker& worker) {
    for ([[maybe_unused]] auto _ : state) co_await worker.run([] {});
}
void worker_round_trip(benchmark::State& state) {
    auto reactor = std::move(UringReactor::create().value());
    ThreadWorker worker(*reactor, "bench");
    Scope scope;
    scope.spawn(work_many(state, worker));
    while (scope.running() > 0) reactor->turn(Instant::max());
    state.counters["enters/job"] =
        static_cast<double>(reactor->stats().enters) / static_cast<double>(state.iterations());
}
BENCHMARK(worker_round_trip)->UseRealTime();

Task<> ask_many(benchmark::State& state, Post& here, Post& there) {
    for ([[maybe_unused]] auto _ : state) {
        const int answer = co_await call(here, there, [] { return 1; });
        benchmark::DoNotOptimize(answer);
    }
}
void call_to_another_shard(benchmark::State& state) {
    auto here = std::move(UringReactor::create().value());
    auto there = std::move(UringReactor::create().value());
    Exchange exchange(2);
    exchange.attach(0, *here);
    exchange.attach(1, *there);
    ShardThread thread(*there, "bench", std::nullopt, {});
    Scope scope;
    scope.spawn(ask_many(state, exchange.post(0), exchange.post(1)));
    while (scope.running() > 0) here->turn(Instant::max());
}
BENCHMARK(call_to_another_shard)->UseRealTime();

}  // namespace
}  // namespace engine
