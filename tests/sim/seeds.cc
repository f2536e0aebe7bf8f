#include "tests/sim/seeds.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <list>
#include <memory>

#include "metrics/check.h"
#include "tests/sim/mutation.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/lsan_interface.h>
#define SIM_LEAK_CHECK() __lsan_do_recoverable_leak_check()
#define SIM_BUILD_KIND "asan"
#endif
#endif
#ifndef SIM_LEAK_CHECK
#define SIM_LEAK_CHECK() 0
#define SIM_BUILD_KIND "release"
#endif

namespace sim {

namespace {

constexpr uint64_t seeds_per_child = 25;
constexpr unsigned seconds_per_seed_max = 120;  // of real time: then it hangs

/// What a child tells while it works; in memory that both see.
struct Shared {
    uint64_t seed;
    uint64_t seeds, steps, connections, restarts, log_syncs, trace_hashes;
    int64_t simulated;
    Totals totals;
    FaultCounts faults;
};

void add(FaultCounts& sum, const FaultCounts& one) {
    for (size_t i = 0; i < fault_kinds; ++i) sum[i] += one[i];
}

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
    sum.cancelled += one.cancelled;
    sum.events += one.events;
    sum.suppressed += one.suppressed;
    sum.listed_by_bounces += one.listed_by_bounces;
}

/// `number`: of a seed, or of a cut.
RunOptions run_of(uint64_t number, const SeedsOptions& options) {
    RunOptions one{.seed = number, .weather = options.weather, .print = options.print};
    if (options.cuts_of_seed == 0) return one;
    one.seed = options.cuts_of_seed;
    one.weather = Weather::moody;
    one.cut_at_sync = options.first + (number - options.first) * options.stride;
    return one;
}

std::string how_to_repeat(const RunOptions& one) {
    const std::string program = mutation().empty() ? "sluice-sim" : "sluice-sim-mutants";
    std::string command =
        fmt::format("deploy/build.sh {0} {1} && build/{0}/tests/{1} --seed {2} --print",
                    SIM_BUILD_KIND, program, one.seed);
    if (one.weather == Weather::moody && one.cut_at_sync == 0) command += " --moody";
    if (one.weather == Weather::calm) command += " --calm";
    if (one.weather == Weather::restless) command += " --restless";
    if (one.cut_at_sync > 0) command += fmt::format(" --cut-at-sync {}", one.cut_at_sync);
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
        const RunResult result = run(run_of(seed, options));
        ++shared.seeds;
        shared.steps += result.steps;
        shared.connections += result.connections;
        shared.restarts += result.restarts;
        shared.log_syncs += result.log_syncs;
        shared.trace_hashes += result.trace_hash;
        shared.simulated += result.simulated.count();
        add(shared.faults, result.faults);
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

/// One process, and the seeds that it runs one after the other.
class Child {
  public:
    Child(const SeedsOptions& options, uint64_t first, uint64_t count)
        : options_(options), first_(first), end_(first + count) {
        void* const memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
                                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        CHECK(memory != MAP_FAILED, "no memory to share");
        shared_ = static_cast<Shared*>(memory);
        start();
    }
    ~Child() { ::munmap(shared_, sizeof(Shared)); }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    static std::list<Child>::iterator wait_for_one(std::list<Child>& children) {
        for (;;) {
            int status = 0;
            const pid_t pid = ::waitpid(-1, &status, 0);
            CHECK(pid > 0, "no child process to wait for");
            const auto ended = std::ranges::find(children, pid, &Child::pid_);
            if (ended == children.end()) continue;
            ended->status_ = status;
            return ended;
        }
    }

    bool failed() const { return status_ != 0; }
    /// Behind the one that failed.
    bool has_more() const { return shared_->seed + 1 < end_; }
    void go_on() {
        first_ = shared_->seed + 1;
        start();
    }
    void add_to(SeedsReport& report) const {
        report.seeds += shared_->seeds;
        report.steps += shared_->steps;
        report.connections += shared_->connections;
        report.restarts += shared_->restarts;
        report.log_syncs += shared_->log_syncs;
        report.trace_hashes += shared_->trace_hashes;
        report.simulated += Nanoseconds(shared_->simulated);
        add(report.faults, shared_->faults);
        add(report.totals, shared_->totals);
    }
    FailedSeed failure() const {
        std::string text = tail_of(output_.get());
        if (WIFSIGNALED(status_))
            text += fmt::format("the process died of signal {}{}\n", WTERMSIG(status_),
                                WTERMSIG(status_) == SIGALRM ? ": it hung" : "");
        const RunOptions one = run_of(shared_->seed, options_);
        text +=
            fmt::format("seed {} failed. To see it again:\n    {}\n", one.seed, how_to_repeat(one));
        return {one.cut_at_sync > 0 ? one.cut_at_sync : one.seed, std::move(text)};
    }

  private:
    void start() {
        new (shared_) Shared{.seed = first_};
        output_.reset(std::tmpfile());
        std::fflush(nullptr);
        pid_ = ::fork();
        CHECK(pid_ >= 0, "no child process");
        if (pid_ != 0) return;
        if (!options_.print) ::dup2(::fileno(output_.get()), STDERR_FILENO);
        const int status = work(*shared_, options_, first_, end_ - first_);
        std::fflush(nullptr);
        ::_exit(status);
    }

    const SeedsOptions options_;
    uint64_t first_, end_;
    Shared* shared_ = nullptr;
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> output_{nullptr, &std::fclose};
    pid_t pid_ = 0;
    int status_ = 0;
};

}  // namespace

SeedsReport run_seeds(const SeedsOptions& options) {
    SeedsReport report;
    std::list<Child> children;
    uint64_t next = options.first;
    const uint64_t end = options.first + options.count;
    bool enough = false;
    while (!children.empty() || (next < end && !enough)) {
        while (children.size() < std::max(options.jobs, 1U) && next < end && !enough) {
            const uint64_t count = std::min(seeds_per_child, end - next);
            children.emplace_back(options, next, count);
            next += count;
        }
        const auto ended = Child::wait_for_one(children);
        ended->add_to(report);
        if (ended->failed()) {
            report.failed.push_back(ended->failure());
            enough = options.stop_at_failure;
            if (!enough && ended->has_more()) {
                ended->go_on();
                continue;
            }
        }
        children.erase(ended);
    }
    std::ranges::sort(report.failed, {}, &FailedSeed::seed);
    return report;
}

SeedsReport run_power_cuts(uint64_t seed, uint64_t first, uint64_t stride, unsigned jobs) {
    SeedsReport whole = run_seeds({.first = seed, .weather = Weather::moody});
    if (!whole.failed.empty()) return whole;
    const uint64_t count = first > whole.log_syncs ? 0 : (whole.log_syncs - first) / stride + 1;
    fmt::print("{} deliveries, {} syncs of the log; the power is cut at {} of them\n",
               whole.totals.deliveries, whole.log_syncs, count);
    return run_seeds({.first = first,
                      .count = count,
                      .stop_at_failure = false,
                      .jobs = jobs,
                      .cuts_of_seed = seed,
                      .stride = stride});
}

std::string SeedsReport::summary() const {
    return fmt::format(
        "{} seeds, {} failed: {:.1f} h simulated, {} steps, {} deliveries ({} delivered, {} "
        "bounced, {} expired, {} cancelled, {} suppressed, {} deferrals), {} connections, {} "
        "restarts, {} in "
        "doubt, {} "
        "duplicates "
        "at receivers; {}",
        seeds, failed.size(), std::chrono::duration<double, std::ratio<3600>>(simulated).count(),
        steps, totals.deliveries, totals.delivered, totals.bounced, totals.expired,
        totals.cancelled, totals.suppressed, totals.deferred, connections, restarts,
        totals.in_doubt, totals.duplicates, describe_faults());
}

std::string SeedsReport::describe_faults() const {
    std::string text;
    uint64_t sum = 0;
    for (size_t i = 0; i < fault_kinds; ++i) {
        sum += faults[i];
        if (faults[i] > 0) text += fmt::format(", {} {}", fault_names[i], faults[i]);
    }
    return fmt::format("{} faults{}", sum, text);
}

}  // namespace sim
