// Costs of TLS without the network: a client's share of a handshake, its longest step (what a shard
// cannot do anything else in), and what an idle connection keeps.
#include <benchmark/benchmark.h>
#include <malloc.h>
#include <time.h>

#include <algorithm>
#include <chrono>

#include "engine/net/tls_connection.h"
#include "engine/net/tls_context.h"
#include "tests/engine/net/support/certificates.h"

namespace engine {
namespace {

/// CPU time of this thread: the machine may be busy.
struct Clock {
    using duration = std::chrono::nanoseconds;
    static duration now() {
        timespec time{};
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
        return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
    }
};

struct Contexts {
    test::Authority authority;
    std::shared_ptr<const TlsContext> client, server;
    Contexts() {
        const auto files = authority.issue("mx.x.test", {.names = "DNS:mx.x.test"});
        client = TlsContext::client({.ca_file = authority.file()}).value();
        server = TlsContext::server({files.certificate, files.key}).value();
    }
};
Contexts& contexts() {
    static Contexts made;
    return made;
}

struct Pair {
    TlsConnection client{contexts().client};
    TlsConnection server{contexts().server};
    std::string wire;
    Clock::duration spent{}, longest{};  // by the client

    explicit Pair(const TlsSession& session = {}) {
        client.expect("mx.x.test", {});
        if (session) client.resume(session);
        bool client_done = false;
        bool server_done = false;
        while (!client_done || !server_done) {
            const auto begin = Clock::now();
            client_done = client.handshake() == TlsConnection::Progress::done;
            const auto took = Clock::now() - begin;
            spent += took;
            longest = std::max(longest, took);
            carry(client, server);
            server_done = server.handshake() == TlsConnection::Progress::done;
            carry(server, client);
        }
        std::string nothing;
        while (client.input_left()) client.read(nothing);  // the tickets
    }
    void carry(TlsConnection& from, TlsConnection& to) {
        wire = from.take_output();
        to.give(wire);
    }
};

void handshakes(benchmark::State& state, bool resumed) {
    TlsSession session;
    uint64_t done = 0;
    Clock::duration steps{};
    for ([[maybe_unused]] auto _ : state) {
        Pair pair(session);
        state.SetIterationTime(std::chrono::duration<double>(pair.spent).count());
        steps += pair.longest;
        ++done;
        auto sessions = pair.client.take_sessions();
        if (resumed && !sessions.empty()) session = std::move(sessions.back());
    }
    state.counters["longest_step_us"] =
        std::chrono::duration<double, std::micro>(steps).count() / static_cast<double>(done);
}
void tls_client_full(benchmark::State& state) {
    handshakes(state, false);
}
void tls_client_resumed(benchmark::State& state) {
    handshakes(state, true);
}
BENCHMARK(tls_client_full)->UseManualTime();
BENCHMARK(tls_client_resumed)->UseManualTime();

/// Octets of the heap that a pair (a client's and a server's side) keeps behind its handshake.
void tls_idle_memory(benchmark::State& state) {
    constexpr size_t pairs = 200;
    for ([[maybe_unused]] auto _ : state) {
        std::vector<std::unique_ptr<Pair>> kept;
        const size_t before = mallinfo2().uordblks;
        for (size_t i = 0; i < pairs; ++i) {
            kept.push_back(std::make_unique<Pair>());
            kept.back()->wire = {};
            kept.back()->client.take_sessions();
        }
        state.counters["bytes_a_pair"] = static_cast<double>(mallinfo2().uordblks - before) / pairs;
    }
}
BENCHMARK(tls_idle_memory)->Iterations(1);

}  // namespace
}  // namespace engine
