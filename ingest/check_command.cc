// sluice check: whether this host is fit to serve. Every finding that is not ok says how to mend
// it.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "engine/dns/address_policy.h"
#include "engine/dns/cares_client.h"
#include "engine/dns/resolver.h"
#include "engine/message/dkim_keys.h"
#include "engine/net/dialer.h"
#include "engine/reactor/scope.h"
#include "engine/reactor/uring_reactor.h"
#include "ingest/commands.h"
#include "ingest/descriptors.h"
#include "ingest/setting.h"
#include "ingest/terminal.h"
#include "storage/log_place.h"

namespace ingest {

namespace {
using namespace std::chrono_literals;
using engine::Task;
constexpr rlim_t fds_wanted = 65536;
constexpr rlim_t memlock_wanted = 8 << 20;
constexpr int sync_samples = 50;
constexpr auto sync_slow = 10ms;
constexpr auto network_deadline = 10s;

struct Finding {
    enum class Verdict : uint8_t { ok, warn, fail };
    std::string name;
    Verdict verdict{};
    std::string detail, mend;
    std::string record;  // what has to stand in the DNS for it; most need nothing
};
using Findings = std::vector<Finding>;
using enum Finding::Verdict;

std::string_view to_string(Finding::Verdict verdict) {
    switch (verdict) {
        case ok:
            return "ok";
        case warn:
            return "warn";
        case fail:
            return "fail";
    }
    return "fail";
}

void check_ring(Findings& findings) {
    const auto probed = engine::UringReactor::probe();
    findings.push_back(probed ? Finding{"io_uring", ok, "works", ""}
                              : Finding{"io_uring", fail, probed.error().what, ""});
}

std::string limit_text(rlim_t limit) {
    return limit == RLIM_INFINITY ? "unlimited" : grouped(limit);
}

void check_limits(Findings& findings) {
    rlimit fds{}, memory{};
    getrlimit(RLIMIT_NOFILE, &fds);
    getrlimit(RLIMIT_MEMLOCK, &memory);
    // The daemon may raise the soft limit to the hard one by itself.
    const auto verdict = fds.rlim_max >= fds_wanted           ? ok
                         : fds.rlim_max >= Descriptors::least ? warn
                                                              : fail;
    findings.push_back(
        {"open files", verdict, fmt::format("limit {}", limit_text(fds.rlim_max)),
         verdict == ok ? ""
                       : fmt::format("each connection needs one: set LimitNOFILE={} in the systemd "
                                     "unit, or nofile in limits.conf",
                                     fds_wanted)});
    const bool enough = memory.rlim_max >= memlock_wanted || geteuid() == 0;
    findings.push_back(
        {"locked memory", enough ? ok : warn,
         fmt::format("limit {} bytes", limit_text(memory.rlim_max)),
         enough
             ? ""
             : "rings with many buffers may be refused: set LimitMEMLOCK=64M in the systemd unit"});
}

/// Appends and syncs as the queue's log does, in a file of its own. Nothing: it failed, errno says
/// why.
std::optional<std::vector<std::chrono::nanoseconds>> sync_times(const std::filesystem::path& dir) {
    std::string name = (dir / "check-XXXXXX").string();
    const int fd = mkstemp(name.data());
    if (fd < 0) return std::nullopt;
    unlink(name.c_str());
    const std::array<char, 4096> block{};
    std::vector<std::chrono::nanoseconds> times;
    for (int i = 0; i < sync_samples; ++i) {
        const auto began = std::chrono::steady_clock::now();
        if (write(fd, block.data(), block.size()) != static_cast<ssize_t>(block.size()) ||
            fdatasync(fd) != 0) {
            const int error = errno;
            close(fd);
            errno = error;
            return std::nullopt;
        }
        times.push_back(std::chrono::steady_clock::now() - began);
    }
    close(fd);
    std::ranges::sort(times);
    return times;
}

enum class Holds : uint8_t { everything, tables, log };

/// `setting` is the name of the directory's key in [node].
void check_directory(Findings& findings, const Config& config, const std::string& setting,
                     std::filesystem::path dir, Holds holds) {
    std::error_code ignored;
    const bool exists = std::filesystem::is_directory(dir, ignored);
    if (!exists) {
        const std::string missing = dir.string();
        dir = std::filesystem::absolute(dir, ignored)
                  .parent_path();  // serve creates the last part only
        const bool possible =
            std::filesystem::is_directory(dir, ignored) && access(dir.c_str(), W_OK | X_OK) == 0;
        findings.push_back(
            {setting, possible ? warn : fail, fmt::format("{} does not exist", missing),
             possible
                 ? "serve will create it"
                 : fmt::format("create it for the user that serves, or set [node] {}", setting)});
        if (!possible) return;
    }
    struct statvfs fs{};
    if (statvfs(dir.c_str(), &fs) == 0) {
        const uint64_t free = static_cast<uint64_t>(fs.f_bavail) * fs.f_frsize;
        const bool enough = free > config.delivery.free_disk_min;
        findings.push_back(
            {"free disk", enough ? ok : fail,
             fmt::format("{} at {}", short_size(static_cast<double>(free)), dir.string()),
             enough
                 ? ""
                 : fmt::format(
                       "less than [queue] free_disk_min ({}): nothing would be taken in; make room",
                       short_size(static_cast<double>(config.delivery.free_disk_min)))});
    }
    const auto times = sync_times(dir);
    if (!times) {
        findings.push_back(
            {setting, fail,
             fmt::format("cannot write to {}: {}", dir.string(), std::strerror(errno)),
             "make it writable for the user that serves"});
        return;
    }
    if (exists) findings.push_back({setting, ok, fmt::format("{} is writable", dir.string()), ""});
    if (holds == Holds::tables) return;  // nobody waits for their syncs
    const auto ms = [&](size_t i) {
        return std::chrono::duration<double, std::milli>((*times)[i]).count();
    };
    const auto median = (*times)[times->size() / 2];
    findings.push_back(
        {"disk sync", median < sync_slow ? ok : warn,
         fmt::format("median {:.2f} ms, worst of {} {:.2f} ms", ms(times->size() / 2),
                     times->size(), ms(times->size() - 1)),
         median < sync_slow
             ? ""
             : fmt::format(
                   "every acceptance waits for one: put {} on a disk with a fast fsync, or the "
                   "log alone with [node] log_dir",
                   setting)});
}

void check_directories(Findings& findings, const Config& config) {
    check_directory(findings, config, "data_dir", config.data_dir,
                    config.log_dir.empty() ? Holds::everything : Holds::tables);
    if (!config.log_dir.empty())
        check_directory(findings, config, "log_dir", config.log_dir, Holds::log);
    const storage::LogPlace place(config.data_dir, config.data_dir / "rocksdb", config.log_dir);
    const auto log = place.current();
    if (!log)
        findings.push_back({"log_dir", fail, log.error().what, ""});
    else if (*log != place.wanted() && std::filesystem::exists(config.data_dir))
        findings.push_back({"log_dir", warn,
                            fmt::format("the write-ahead log is in {}", log->string()),
                            fmt::format("serve will move it to {}", place.wanted().string())});
}

/// Looks up a domain's MX and greets none of it: a banner is enough.
Task<> check_network(engine::Reactor* reactor, engine::CaresClient* dns, const Config* config,
                     std::string domain, Findings* findings) {
    engine::Resolver resolver(*reactor, *dns,
                              {.port = config->delivery.port,
                               .allow_addresses = config->delivery.allow_addresses,
                               .own_name = config->delivery.node_name,
                               .ipv6_first = engine::has_global_ipv6()});
    auto began = reactor->now();
    const auto elapsed = [&] {
        return std::chrono::duration<double, std::milli>(reactor->now() - began).count();
    };
    const auto route = co_await resolver.route(domain);
    const std::string dns_name = "DNS";
    if (!route) {
        findings->push_back(
            {dns_name, fail, fmt::format("{}: {}", domain, route.error().reason),
             "set [dns] servers to resolvers that answer; a caching one on this host is best"});
        co_await dns->stop();
        co_return;
    }
    const engine::MxHost host = (*route)->hosts.front();
    findings->push_back({dns_name, ok,
                         fmt::format("{} has {} hosts, first {} ({:.0f} ms)", domain,
                                     (*route)->hosts.size(), host.name, elapsed()),
                         ""});
    const std::string name = fmt::format("outbound port {}", host.port);
    const auto endpoints = co_await resolver.addresses(host.name, host.port);
    if (!endpoints) {
        findings->push_back(
            {name, fail, fmt::format("{}: {}", host.name, endpoints.error().reason),
             "look at the addresses of that host, and at [delivery] allow_addresses"});
        co_await dns->stop();
        co_return;
    }
    began = reactor->now();
    const engine::SocketAddress address = endpoints->front().address;
    auto stream = co_await engine::dial(*reactor, address, nullptr, began + network_deadline);
    std::string problem;
    if (!stream) {
        problem = stream.error().what;
    } else {
        (*stream)->expires_at(reactor->now() + network_deadline);
        const auto banner = co_await (*stream)->read();
        if (!banner)
            problem = "no greeting: " + banner.error().what;
        else if (!banner->starts_with('2'))
            problem = "greeted with " + printable(banner->substr(0, 80));
        (*stream)->close();
    }
    const auto at = fmt::format("{} ({})", address.to_string(), host.name);
    findings->push_back(
        problem.empty()
            ? Finding{name, ok, fmt::format("{} greets after {:.0f} ms", at, elapsed()), ""}
            : Finding{name, fail, fmt::format("{}: {}", at, problem),
                      "many hosting providers block port 25 until asked; open it in the "
                      "firewall or have it opened"});
    co_await dns->stop();
}

void check_mail_path(Findings& findings, const Config& config, const std::string& domain) {
    auto reactor =
        engine::UringReactor::create({.entries = 64, .buffer_count = 16, .buffer_count_max = 64});
    if (!reactor) return;  // the ring's own finding says it
    auto dns = engine::CaresClient::create(**reactor, {.servers = config.dns_servers});
    if (!dns) {
        findings.push_back({"DNS", fail, dns.error().what, "correct [dns] servers"});
        return;
    }
    engine::Scope scope;
    scope.spawn(check_network(reactor->get(), dns->get(), &config, domain, &findings));
    while (scope.running() > 0) (*reactor)->turn(engine::Instant::max());
}

/// The keys, and the DNS record that each needs; nobody but the owner of the domain can put it
/// there.
void check_keys(Findings& findings, const Config& config) {
    for (const auto& report : engine::DkimKeys::load(config.dkim).reports) {
        const std::string name = "DKIM key";
        if (!report.problem.empty()) {
            findings.push_back(
                {name, fail, fmt::format("{}: {}", report.entry, report.problem),
                 "correct [[dkim]] key or the file; serve does not start without it"});
            continue;
        }
        findings.push_back({name, report.warning.empty() ? ok : warn,
                            fmt::format("{}: {}", report.entry, report.summary), report.warning,
                            fmt::format("{} TXT \"{}\"", report.entry, report.record)});
    }
}

Findings check_host(const Config& config, const CheckOptions& options) {
    Findings findings;
    findings.push_back(
        {"configuration", ok,
         options.config_file.empty() ? "no file, the defaults" : options.config_file + " is valid",
         ""});
    for (const auto& warning : config.warnings)
        findings.push_back({"configuration", warn, warning, ""});
    check_ring(findings);
    check_limits(findings);
    check_directories(findings, config);
    check_keys(findings, config);
    if (!options.domain.empty()) check_mail_path(findings, config, options.domain);
    return findings;
}

Colour colour_of(Finding::Verdict verdict) {
    return verdict == ok ? Colour::good : verdict == warn ? Colour::warning : Colour::bad;
}

void print_text(const Findings& findings, const Config* config) {
    if (config) {
        Table settings;
        for (const auto& e : config->effective)
            settings.add({e.name, "= " + printable(e.value), "(" + e.origin + ")"});
        fmt::print("{}\n", settings.text("  "));
    }
    for (const Finding& f : findings) {
        fmt::print("{} {:<16} {}\n",
                   coloured(fmt::format("{:<4}", to_string(f.verdict)), colour_of(f.verdict)),
                   f.name, printable(f.detail));
        if (!f.mend.empty()) fmt::print("     {:<16} -> {}\n", "", f.mend);
        if (!f.record.empty()) fmt::print("     {:<16} in the DNS: {}\n", "", f.record);
    }
}

void print_json(const Findings& findings, const Config* config) {
    nlohmann::ordered_json out;
    auto& list = out["findings"] = nlohmann::ordered_json::array();
    for (const Finding& f : findings) {
        list.push_back({{"name", f.name},
                        {"verdict", to_string(f.verdict)},
                        {"detail", f.detail},
                        {"mend", f.mend}});
        if (!f.record.empty()) list.back()["record"] = f.record;
    }
    auto& settings_list = out["settings"] = nlohmann::ordered_json::array();
    if (config) {
        for (const auto& e : config->effective) {
            settings_list.push_back({{"name", e.name}, {"value", e.value}, {"origin", e.origin}});
        }
    }
    fmt::print("{}\n", out.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}
}  // namespace

int check(const CheckOptions& options) {
    const auto config = load_config(options.config_file);
    Findings findings;
    if (config) {
        findings = check_host(*config, options);
    } else {
        for (const auto& problem : config.error())
            findings.push_back({"configuration", fail, to_string(problem), ""});
    }
    const Config* shown = config ? &*config : nullptr;
    options.output == Output::json ? print_json(findings, shown) : print_text(findings, shown);
    const bool bad =
        std::ranges::any_of(findings, [](const Finding& f) { return f.verdict == fail; });
    return bad ? 1 : 0;
}

}  // namespace ingest
