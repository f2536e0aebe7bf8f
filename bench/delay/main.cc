// sluice-delay: a long line on loopback. See bench/README.md.
#include <fmt/format.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>

#include "bench/delay/line.h"

namespace {

/// SIGINT and SIGTERM as a descriptor.
bench::Socket signals() {
    sigset_t set;
    sigemptyset(&set);
    for (int number : {SIGINT, SIGTERM}) sigaddset(&set, number);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    return bench::Socket(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
}

/// The line stands for hardware: as root it goes before whatever else is busy on this machine. It
/// needs a few microseconds a piece; without the right to this it is only less exact.
bool go_first() {
    sched_param parameters{.sched_priority = 1};
    return sched_setscheduler(0, SCHED_RR, &parameters) == 0;
}

template <class T>
T valid(std::string_view option, bench::Parsed<T> parsed) {
    if (!parsed) throw std::runtime_error(fmt::format("{}: {}", option, parsed.error()));
    return std::move(*parsed);
}

int run(const std::string& listen, const std::string& to, const std::string& one_way) {
    bench::Poller poller;
    auto signal = signals();
    bool stop = false;
    poller.watch(signal.fd(), EPOLLIN, [&](uint32_t) { stop = true; });
    delay::Line line(poller, {.listen = valid("--listen", bench::parse_endpoint(listen)),
                              .to = valid("--to", bench::parse_endpoint(to)),
                              .one_way = valid("--delay", bench::parse_duration(one_way))});
    bool first = go_first();
    fmt::print("listening on port {}{}\n", line.port(),
               first ? "" : "; less exact without the right to SCHED_RR (root)");
    std::fflush(stdout);
    while (!stop) poller.turn(std::chrono::milliseconds(-1));
    fmt::print("{} connections, {}\n", line.accepted(), line.lateness().text());
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("A TCP proxy that delays everything, both ways", "sluice-delay");
    std::string listen = "127.0.0.1:0", to, one_way = "25ms";
    app.add_option("--listen", listen,
                   "where clients connect; port 0: a free one, which is printed")
        ->capture_default_str();
    app.add_option("--to", to, "the server behind the line")->required();
    app.add_option("--delay", one_way, "one way; the round trip is twice that")
        ->capture_default_str();
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    try {
        return run(listen, to, one_way);
    } catch (const std::exception& error) {
        fmt::print(stderr, "sluice-delay: {}\n", error.what());
        return 1;
    }
}
