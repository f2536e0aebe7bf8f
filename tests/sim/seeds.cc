#include "tests/sim/seeds.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "metrics/check.h"
#include "tests/sim/mutation.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/lsan_interface.h>
#define SIM_LEAK_CHECK() __lsan_do_recoverable_leak_check()
#endif
#endif
#ifndef SIM_LEAK_CHECK
#define SIM_LEAK_CHECK() 0
#endif

namespace sim {

namespace {

constexpr uint64_t seeds_per_child = 25;
constexpr unsigned seconds_per_seed_max = 120;  // of real time: then it hangs

/// What a child tells while it works; in memory that both see.
struct Shared {
    uint64_t seed;
    uint64_t seeds, steps, connections, troubles, restarts;
    int64_t simulated;
    Totals totals;
};

void add(Totals& sum, const Totals& one) {
    sum.deliveries += one.deliveries;
    sum.acknowledged += one.acknowledged;
    sum.accepted += one.accepted;
    sum.duplicates += one.duplicates;
    sum.in_doubt += one.in_doubt;
    sum.delivered += one.delivered;
    sum.deferred += one.deferred;
    sum.bounced += one.bounced;
    sum.expired += one.expired;
    sum.events += one.events;
}

std::string how_to_repeat(uint64_t seed, const SeedsOptions& options) {
    std::string command = fmt::format("{} --seed {} --print",
                                      mutation().empty() ? "build/release/tests/sluice-sim"
                                                         : "build/release/tests/sluice-sim-mutants",
                                      seed);
    if (options.calm) command += " --calm";
    if (!mutation().empty()) command += fmt::format(" --mutation '{}'", mutation());
    return command;
}

void show_trace_and_abort(int) {
    // The process is lost anyway; what it knows is worth more than a safe handler.
    std::fputs(lines_of_this_run().c_str(), stderr);
    std::fflush(stderr);
    std::signal(SIGABRT, SIG_DFL);
    std::abort();
}

int work(Shared& shared, const SeedsOptions& options, uint64_t first, uint64_t count) {
    std::signal(SIGABRT, show_trace_and_abort);
    bool failed = false;
    for (uint64_t seed = first; seed < first + count && !failed; ++seed) {
        ::alarm(seconds_per_seed_max);
        shared.seed = seed;
        const RunResult result = run({.seed = seed, .calm = options.calm, .print = options.print});
        ++shared.seeds;
        shared.steps += result.steps;
        shared.connections += result.connections;
        shared.restarts += result.restarts;
        shared.simulated += result.simulated.count();
        for (const auto& [kind, times] : result.troubles) shared.troubles += times;
        add(shared.totals, result.totals);
        if (!result.failure) continue;
        failed = true;
        fmt::print(stderr, "{}step {}: {}: {}\n", result.last_lines, result.steps,
                   result.failure->invariant, result.failure->what);
    }
    return failed || SIM_LEAK_CHECK() != 0 ? 1 : 0;
}

/// The end of what a child has written.
std::string tail_of(std::FILE* file) {
    constexpr long bytes = 16'000;
    std::fseek(file, 0, SEEK_END);
    std::fseek(file, std::max(std::ftell(file) - bytes, 0L), SEEK_SET);
    std::string text(static_cast<size_t>(bytes), '\0');
    text.resize(std::fread(text.data(), 1, text.size(), file));
    return text;
}

}  // namespace

SeedsReport run_seeds(const SeedsOptions& options) {
    SeedsReport report;
    void* const memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED, "no memory to share");
    const uint64_t end = options.first + options.count;
    for (uint64_t first = options.first; first < end;) {
        Shared& shared = *new (memory) Shared{};
        const uint64_t count = std::min(seeds_per_child, end - first);
        const std::unique_ptr<std::FILE, int (*)(std::FILE*)> output(std::tmpfile(), &std::fclose);
        std::fflush(nullptr);
        const pid_t child = ::fork();
        CHECK(child >= 0, "no child process");
        if (child == 0) {
            if (!options.print) ::dup2(::fileno(output.get()), STDERR_FILENO);
            const int status = work(shared, options, first, count);
            std::fflush(nullptr);
            ::_exit(status);
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        report.seeds += shared.seeds;
        report.steps += shared.steps;
        report.connections += shared.connections;
        report.restarts += shared.restarts;
        report.troubles += shared.troubles;
        report.simulated += Nanoseconds(shared.simulated);
        add(report.totals, shared.totals);
        first = status == 0 ? first + count : shared.seed + 1;
        if (status == 0) continue;
        std::string text = tail_of(output.get());
        if (WIFSIGNALED(status))
            text += fmt::format("the process died of signal {}{}\n", WTERMSIG(status),
                                WTERMSIG(status) == SIGALRM ? ": it hung" : "");
        text += fmt::format("seed {} failed. To see it again:\n    {}\n", shared.seed,
                            how_to_repeat(shared.seed, options));
        report.failed.push_back({shared.seed, std::move(text)});
        if (options.stop_at_failure) break;
    }
    ::munmap(memory, sizeof(Shared));
    return report;
}

std::string SeedsReport::summary() const {
    return fmt::format(
        "{} seeds, {} failed: {:.1f} h simulated, {} steps, {} deliveries ({} delivered, {} "
        "bounced, {} expired, {} deferrals), {} connections, {} restarts, {} troubles, {} in doubt, "
        "{} duplicates at receivers",
        seeds, failed.size(), std::chrono::duration<double, std::ratio<3600>>(simulated).count(),
        steps, totals.deliveries, totals.delivered, totals.bounced, totals.expired, totals.deferred,
        connections, restarts, troubles, totals.in_doubt, totals.duplicates);
}

}  // namespace sim
