// sluice-sim: runs seeds of the simulation. See tests/sim/README.md.
#include <charconv>
#include <chrono>
#include <cstdio>
#include <optional>
#include <random>
#include <string_view>

#include "tests/sim/mutation.h"
#include "tests/sim/seeds.h"

namespace {

constexpr const char* usage =
    "usage: sluice-sim --seed N [--print] [WEATHER]         one seed; --print shows its trace\n"
    "       sluice-sim --seed N --cut-at-sync N [--print]   2,000 mails and a power cut\n"
    "       sluice-sim --from N --count N [--jobs N]        seeds in a row; goes on after a "
    "failure\n"
    "       sluice-sim --power-cuts STRIDE [--seed N]       2,000 mails, a cut at each STRIDE-th "
    "sync\n"
    "       sluice-sim --long MINUTES [--jobs N]            fresh seeds for so long\n"
    "WEATHER is --calm, --moody or --restless; else it is rough.\n"
    "       sluice-sim-mutants --mutation NAME ...          with a planted bug (mutate.py lists "
    "them)\n";

struct Arguments {
    sim::SeedsOptions seeds{.stop_at_failure = false};
    uint64_t minutes = 0, power_cuts = 0, cut_at_sync = 0, jobs = 1;
};

bool number(std::string_view text, uint64_t& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size();
}

std::optional<sim::Weather> weather_of(std::string_view word) {
    if (word == "--calm") return sim::Weather::calm;
    if (word == "--moody") return sim::Weather::moody;
    if (word == "--restless") return sim::Weather::restless;
    return std::nullopt;
}

bool parse(int argc, char** argv, Arguments& arguments) {
    for (int i = 1; i < argc; ++i) {
        const std::string_view word = argv[i];
        if (word == "--print") {
            arguments.seeds.print = true;
            continue;
        }
        if (const auto weather = weather_of(word)) {
            arguments.seeds.weather = *weather;
            continue;
        }
        if (++i == argc) return false;
        bool good = true;
        if (word == "--seed" || word == "--from")
            good = number(argv[i], arguments.seeds.first);
        else if (word == "--count")
            good = number(argv[i], arguments.seeds.count);
        else if (word == "--power-cuts")
            good = number(argv[i], arguments.power_cuts) && arguments.power_cuts > 0;
        else if (word == "--cut-at-sync")
            good = number(argv[i], arguments.cut_at_sync);
        else if (word == "--jobs")
            good = number(argv[i], arguments.jobs);
        else if (word == "--long")
            good = number(argv[i], arguments.minutes);
        else if (word == "--mutation")
            sim::set_mutation(argv[i]);
        else
            return false;
        if (!good) return false;
    }
    return argc > 1;
}

bool show(const sim::SeedsReport& report) {
    for (const sim::FailedSeed& failed : report.failed) fmt::print("{}\n", failed.report);
    fmt::print("{}\n", report.summary());
    return report.failed.empty();
}

/// Not of the simulation: this is where fresh seeds come from.
bool run_long(uint64_t minutes, unsigned jobs) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(minutes);
    std::random_device entropy;
    bool good = true;
    while (std::chrono::steady_clock::now() < end) {
        const uint64_t first = (uint64_t{entropy()} << 16) + 1;
        good = show(sim::run_seeds(
                   {.first = first, .count = 200, .stop_at_failure = false, .jobs = jobs})) &&
               good;
    }
    return good;
}

}  // namespace

int main(int argc, char** argv) {
    Arguments arguments;
    if (!parse(argc, argv, arguments)) {
        std::fputs(usage, stderr);
        return 2;
    }
    sim::SeedsOptions& seeds = arguments.seeds;
    seeds.jobs = static_cast<unsigned>(arguments.jobs);
    if (arguments.minutes > 0) return run_long(arguments.minutes, seeds.jobs) ? 0 : 1;
    if (arguments.power_cuts > 0)
        return show(sim::run_power_cuts(seeds.first, 1, arguments.power_cuts, seeds.jobs)) ? 0 : 1;
    if (arguments.cut_at_sync > 0) {
        seeds.cuts_of_seed = seeds.first;
        seeds.first = arguments.cut_at_sync;
    }
    return show(sim::run_seeds(seeds)) ? 0 : 1;
}
