// Usage: bench-tls ip:port ca.pem seconds full|resumed [page]
// Opens one connection after the other to a TLS server with the engine's own client; with "page" it
// asks for "/" and reads to the end, because TLS 1.3's tickets come behind the handshake. Prints
// how many, and its CPU.
#include <fmt/format.h>
#include <sys/resource.h>

#include <cstdlib>
#include <string>

#include "engine/net/dialer.h"
#include "engine/net/tls_stream.h"
#include "engine/reactor/scope.h"
#include "engine/reactor/uring_reactor.h"

namespace engine {
namespace {

struct Run {
    UringReactor& reactor;
    std::shared_ptr<const TlsContext> context;
    SocketAddress server;
    std::string host;
    bool resume, page;
    std::chrono::seconds seconds;
    TlsSessions sessions;
    uint64_t done = 0, resumed = 0, failed = 0;
};

Task<Result<void>> connect_once(Run& run) {
    auto below = TRY(co_await dial(run.reactor, run.server, nullptr, run.reactor.now() + 5s));
    TlsStream stream(*below, run.context);
    stream.expires_at(run.reactor.now() + 5s);
    stream.expect(run.host, {}, run.resume ? &run.sessions : nullptr, &run.reactor);
    TRY(co_await stream.handshake());
    run.resumed += stream.result().resumed;
    constexpr std::string_view request[] = {"GET / HTTP/1.0\r\n\r\n"};
    if (run.page) TRY(co_await stream.write(request));
    while (run.page) {
        const auto bytes = co_await stream.read();
        if (!bytes) break;
    }
    co_return Result<void>();
}

Task<> connect_again_and_again(Run& run) {
    const Instant end = run.reactor.now() + run.seconds;
    while (run.reactor.now() < end) {
        const auto result = co_await connect_once(run);
        if (result) {
            ++run.done;
        } else if (++run.failed == 1) {
            fmt::print(stderr, "{}\n", result.error().what);
        }
    }
}

int measure(int argc, char** argv) {
    if (argc < 5) {
        fmt::print(stderr, "usage: bench-tls ip:port ca.pem seconds full|resumed [page]\n");
        return 2;
    }
    auto reactor = UringReactor::create({.entries = 64, .buffer_count = 16});
    auto context = TlsContext::client({.ca_file = argv[2]});
    const auto server = SocketAddress::parse(argv[1]);
    if (!reactor || !context || !server) {
        fmt::print(stderr, "{}\n",
                   !reactor   ? reactor.error().what
                   : !context ? context.error().what
                              : std::string("no such address"));
        return 1;
    }
    Run run{**reactor,
            *context,
            *server,
            "localhost",
            std::string_view(argv[4]) == "resumed",
            argc > 5,
            std::chrono::seconds(std::atoi(argv[3])),
            {}};
    Scope scope;
    scope.spawn(connect_again_and_again(run));
    while (scope.running() > 0) (*reactor)->turn(Instant::max());
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds_of = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    fmt::print("{{\"done\": {}, \"resumed\": {}, \"failed\": {}, \"cpu_us\": {:.0f}}}\n", run.done,
               run.resumed, run.failed,
               (seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime)) * 1e6 /
                   static_cast<double>(std::max<uint64_t>(run.done, 1)));
    return 0;
}

}  // namespace
}  // namespace engine

int main(int argc, char** argv) {
    return engine::measure(argc, argv);
}
