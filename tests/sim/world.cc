#include "tests/sim/world.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "metrics/check.h"

namespace sim {

namespace {
constexpr Instant beginning{std::chrono::hours(1)};
constexpr WallTime usual_wall{std::chrono::milliseconds(1'795'000'000'000)};
}  // namespace

World::World(uint64_t seed) : now_(beginning), wall_at_beginning_(usual_wall), random_(seed) {
    clock_begins();
}

void World::begin_at(WallTime wall) {
    wall_at_beginning_ = wall;
    clock_.clear();
    clock_begins();
}

std::chrono::sys_time<Nanoseconds> World::machine_wall() const {
    return wall_at_beginning_ + (now_ - beginning) + jumped_;
}

void World::jump(std::chrono::milliseconds by) {
    const WallTime before = engine_wall();
    jumped_ += by;
    clock_was_set_ = true;
    clock_.push_back({now_, before, machine_wall() - before});
    trace("the clock is set by {} ms", by.count());
}

void World::clock_begins() {
    clock_.push_back({now_, machine_wall(), 0ns});
}

WallTime World::engine_wall(Instant at) const {
    const auto next =
        std::ranges::find_if(clock_, [&](const Stretch& stretch) { return stretch.begin > at; });
    const Stretch& stretch = next == clock_.begin() ? clock_.front() : *std::prev(next);
    const Nanoseconds length = at - stretch.begin;
    const Nanoseconds most = std::max(length, 0ns) / 10;
    return std::chrono::floor<std::chrono::milliseconds>(stretch.wall + length +
                                                         std::clamp(stretch.behind, -most, most));
}

void World::at(Instant when, Work work) {
    events_.emplace(std::max(when, now_), std::move(work));
}

std::optional<Instant> World::next_event() const {
    if (events_.empty()) return std::nullopt;
    return events_.begin()->first;
}

void World::run_next_event() {
    CHECK(!events_.empty(), "no event is left");
    auto first = events_.extract(events_.begin());
    move_to(first.key());
    first.mapped()();
}

void World::move_to(Instant when) {
    now_ = std::max(now_, when);
}

uint64_t World::draw(uint64_t below) {
    return below == 0 ? 0 : random_() % below;
}

bool World::chance(double probability) {
    constexpr uint64_t steps = 1'000'000;
    return draw(steps) < static_cast<uint64_t>(probability * static_cast<double>(steps));
}

bool World::strikes(Fault fault, double probability) {
    const bool does = chance(probability);
    if (does) count(fault);
    return does;
}

Nanoseconds World::some_time(Nanoseconds least, Nanoseconds most) {
    const double low = std::log(static_cast<double>(least.count()));
    const double high = std::log(static_cast<double>(most.count()));
    const double place = static_cast<double>(draw(1'000'000)) / 1'000'000;
    return Nanoseconds(static_cast<int64_t>(std::exp(low + (high - low) * place)));
}

void World::note(std::string line) {
    ++lines_;
    line =
        fmt::format("{:>12.6f} {}", std::chrono::duration<double>(now_ - beginning).count(), line);
    for (const char c : line) hash_ = (hash_ ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
    if (print_) fmt::print(stderr, "{}\n", line);
    last_.push_back(std::move(line));
    if (last_.size() > trace_lines) last_.pop_front();
}

std::string World::last_lines() const {
    std::string all;
    for (const std::string& line : last_) all.append(line).push_back('\n');
    return all;
}

void World::fail(std::string invariant, std::string what) {
    if (failure_) return;
    trace("FAILED {}: {}", invariant, what);
    failure_ = Failure{std::move(invariant), std::move(what)};
}

}  // namespace sim
