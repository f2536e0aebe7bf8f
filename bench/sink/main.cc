// sluice-sink: a receiving mail server for load tests and the demo. See bench/README.md.
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <optional>

#include "bench/poller.h"
#include "bench/sink/journal.h"
#include "bench/sink/server.h"
#include "bench/sink/side_doors.h"

namespace {

using sink::Stage;

struct Arguments {
    std::vector<std::string> listen{"127.0.0.1:2525"};
    std::array<std::string, sink::stages> mixes;
    std::string delay = "0ms", final_delay = "0ms", idle = "5m", size = "50MiB";
    std::string stats, stats_file, dns, digest, keep;
    std::vector<std::string> zone_addresses;
    sink::Policy policy;
    sink::ServerOptions server;
    sink::ZoneOptions zone;
    unsigned accept_on_try = 2;
    double rate = 0;
    bool no_chunking = false;
};

void declare(CLI::App& app, Arguments& a) {
    app.add_option("--listen", a.listen,
                   "addresses: 127.60.0.0/24:2525, [::1]:2525; may be repeated")
        ->capture_default_str();
    constexpr std::array scripted{Stage::connect, Stage::hello, Stage::mail,
                                  Stage::rcpt,    Stage::data,  Stage::final};
    for (Stage stage : scripted)
        app.add_option(fmt::format("--{}", name(stage)), a.mixes[size_t(stage)],
                       "what this stage answers: \"2% 550 5.1.1 no such user, 0.5% drop\"");
    app.add_option("--accept-on-try", a.accept_on_try,
                   "who met a 4xx or a drop is accepted on this try; 0: never")
        ->capture_default_str();
    app.add_option("--delay", a.delay, "every write leaves this late, as over a long line");
    app.add_option("--final-delay", a.final_delay, "work on a message before its reply");
    app.add_option("--idle", a.idle, "a silent connection is closed after this")
        ->capture_default_str();
    app.add_option("--messages-per-connection", a.policy.messages_per_connection,
                   "then 421; 0: no limit");
    app.add_option("--rate", a.rate, "messages a second, over all; then 451 to MAIL; 0: no limit")
        ->check(CLI::NonNegativeNumber);
    app.add_option("--connections", a.server.connections_per_address,
                   "per address, then 421; 0: no limit");
    app.add_option("--connections-max", a.server.connections_max, "in all; more are closed at once")
        ->capture_default_str();
    app.add_option("--size", a.size, "of the largest message")->capture_default_str();
    app.add_option("--host-name", a.policy.host_name, "in banner and EHLO")->capture_default_str();
    app.add_flag("--no-chunking", a.no_chunking, "do not offer BDAT");
    app.add_option("--stats", a.stats, "HTTP on this address answers with the counts as JSON");
    app.add_option("--stats-file", a.stats_file, "the same into a file at exit and on SIGUSR1");
    app.add_option("--digest", a.digest,
                   "a line per accepted message: number, SHA-256, octets, from, to");
    app.add_option("--keep", a.keep, "store accepted messages in this folder");
    app.add_option("--dns", a.dns, "answer for the zone on this address, UDP and TCP");
    app.add_option("--zone-suffix", a.zone.suffix, "of the zone's names")->capture_default_str();
    app.add_option(
        "--zone-addresses", a.zone_addresses,
        "of the zone's hosts, where they are not those of --listen (0.0.0.0:2525 has none): "
        "127.64.0.0/20:2525; may be repeated");
    app.add_option("--domains", a.zone.domains, "d0 ... of the zone")->capture_default_str();
    app.add_option("--sites", a.zone.sites, "groups of domains that share their MX hosts")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    app.add_option("--ttl", a.zone.ttl_seconds, "of DNS answers, in seconds")
        ->capture_default_str();
}

/// The value, or a std::runtime_error that names the option.
template <class T>
T valid(std::string_view option, bench::Parsed<T> parsed) {
    if (!parsed) throw std::runtime_error(fmt::format("{}: {}", option, parsed.error()));
    return std::move(*parsed);
}

sink::ServerOptions server_options(const Arguments& a) {
    sink::ServerOptions options = a.server;
    for (const auto& text : a.listen) {
        auto endpoints = valid("--listen", bench::parse_endpoints(text));
        options.listen.insert(options.listen.end(), endpoints.begin(), endpoints.end());
    }
    options.delay = valid("--delay", bench::parse_duration(a.delay));
    options.final_delay = valid("--final-delay", bench::parse_duration(a.final_delay));
    options.idle = valid("--idle", bench::parse_duration(a.idle));
    return options;
}

sink::Zone make_zone(const Arguments& a, const std::vector<bench::Endpoint>& listen) {
    sink::ZoneOptions options = a.zone;
    std::vector<bench::Endpoint> places;
    for (const auto& text : a.zone_addresses) {
        auto block = valid("--zone-addresses", bench::parse_endpoints(text));
        places.insert(places.end(), block.begin(), block.end());
    }
    for (const auto& endpoint : places.empty() ? listen : places) {
        if (endpoint.family() == AF_INET)
            options.addresses.push_back(
                ntohl(reinterpret_cast<const sockaddr_in*>(&endpoint.address)->sin_addr.s_addr));
    }
    if (options.addresses.empty())
        throw std::runtime_error("--dns: MX hosts need IPv4 addresses; add one with --listen");
    return sink::Zone(std::move(options));
}

/// SIGINT, SIGTERM and SIGUSR1 as a descriptor.
bench::Socket signals() {
    sigset_t set;
    sigemptyset(&set);
    for (int number : {SIGINT, SIGTERM, SIGUSR1}) sigaddset(&set, number);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    return bench::Socket(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
}

/// As many descriptors as the system lets us have: connections_max of them may be connections.
size_t raise_descriptor_limit() {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
}

void report(const Arguments& a, const sink::Tally& tally) {
    fmt::print("{}", tally.text());
    std::fflush(stdout);
    if (!a.stats_file.empty()) std::ofstream(a.stats_file) << tally.json() << '\n';
}

int run(Arguments& a) {
    sink::Shared shared{.policy = a.policy, .allowance = sink::Allowance(a.rate)};
    shared.policy.message_bytes_max = valid("--size", bench::parse_size(a.size));
    shared.policy.chunking = !a.no_chunking;
    shared.script.accept_on_try = a.accept_on_try;
    for (size_t stage = 0; stage < sink::stages; ++stage)
        shared.script.mixes[stage] =
            valid(fmt::format("--{}", name(Stage(stage))), sink::Mix::parse(a.mixes[stage]));
    sink::Journal journal(a.digest, a.keep);
    if (journal.wants() != sink::Keep::nothing) shared.journal = &journal;

    auto options = server_options(a);
    size_t spare = options.listen.size() + 64;
    size_t descriptors = raise_descriptor_limit();
    if (descriptors <= spare)
        throw std::runtime_error(
            fmt::format("{} descriptors are too few; raise ulimit -n", descriptors));
    options.connections_max = std::min(options.connections_max, descriptors - spare);

    bench::Poller poller;
    sink::Server server(poller, shared, options);
    std::optional<sink::DnsServer> dns;
    if (!a.dns.empty())
        dns.emplace(poller, valid("--dns", bench::parse_endpoint(a.dns)),
                    make_zone(a, options.listen), shared.tally);
    std::optional<sink::RequestServer> stats;
    if (!a.stats.empty())
        stats.emplace(
            poller, valid("--stats", bench::parse_endpoint(a.stats)), sink::After::close,
            [&](std::string& request) { return sink::http_answer(request, shared.tally); });

    bool stop = false;
    auto signal = signals();
    poller.watch(signal.fd(), EPOLLIN, [&](uint32_t) {
        signalfd_siginfo info{};
        if (::read(signal.fd(), &info, sizeof info) != sizeof info) return;
        if (info.ssi_signo == SIGUSR1)
            report(a, shared.tally);
        else
            stop = true;
    });
    fmt::print("listening on {} addresses, port {}\n", server.addresses(), server.port());
    std::fflush(stdout);
    while (!stop) {
        auto patience = server.run_due();
        journal.flush();
        poller.turn(patience);
    }
    report(a, shared.tally);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("A receiving SMTP server for load tests, with scripted replies and its own DNS",
                 "sluice-sink");
    Arguments arguments;
    declare(app, arguments);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    try {
        return run(arguments);
    } catch (const std::exception& error) {
        fmt::print(stderr, "sluice-sink: {}\n", error.what());
        return 1;
    }
}
