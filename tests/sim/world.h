// SimWorld: virtual time, one ordered list of events, one source of randomness, and the trace.
// Everything that happens in a simulated run happens here, on one thread, in an order that the seed
// alone decides.
#pragma once

#include <fmt/format.h>

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "engine/reactor/reactor.h"
#include "tests/sim/faults.h"

namespace sim {

using engine::Instant;
using engine::WallTime;
using Nanoseconds = std::chrono::nanoseconds;
using namespace std::chrono_literals;

/// An invariant that did not hold.
struct Failure {
    std::string invariant, what;
};

class World {
  public:
    static constexpr size_t trace_lines = 50;  // that a failure shows

    explicit World(uint64_t seed);

    /// The machine's wall clock; before anything has happened.
    void begin_at(WallTime wall);
    Instant now() const { return now_; }
    WallTime wall() const { return std::chrono::floor<std::chrono::milliseconds>(machine_wall()); }
    /// The same in nanoseconds.
    std::chrono::sys_time<Nanoseconds> machine_wall() const;
    /// The machine's wall clock is set; the monotonic one does not notice.
    void jump(std::chrono::milliseconds by);
    /// How far it was set in all.
    std::chrono::milliseconds jumped() const { return jumped_; }

    // What the engine's clock should say: it begins with the machine's, and follows it a tenth
    // faster or slower at most. It may notice a jump a second late.
    std::chrono::milliseconds clock_slack() const { return clock_was_set_ ? 250ms : 2ms; }
    void clock_begins();  // the node starts
    WallTime engine_wall() const { return engine_wall(now_); }
    WallTime engine_wall(Instant at) const;

    using Work = std::move_only_function<void()>;
    /// Events of one instant happen in the order in which they were asked for.
    void at(Instant when, Work work);
    void after(Nanoseconds delay, Work work) { at(now_ + delay, std::move(work)); }
    std::optional<Instant> next_event() const;
    void run_next_event();
    void move_to(Instant when);  // never backwards

    uint64_t draw(uint64_t below);  // uniform in [0, below)
    bool chance(double probability);
    /// The same for what goes wrong, which is counted.
    bool strikes(Fault fault, double probability);
    void count(Fault fault, uint64_t times = 1) { faults_[static_cast<size_t>(fault)] += times; }
    const FaultCounts& faults() const { return faults_; }
    /// Small ones are likelier: each magnitude between the two is as likely as the next.
    Nanoseconds some_time(Nanoseconds least, Nanoseconds most);
    uint64_t new_seed() { return random_(); }

    template <class... Args>
    void trace(fmt::format_string<Args...> format, Args&&... args) {
        note(fmt::format(format, std::forward<Args>(args)...));
    }
    uint64_t trace_hash() const { return hash_; }
    uint64_t lines() const { return lines_; }
    std::string last_lines() const;
    /// Prints each line at once; for looking at one seed.
    void print_all() { print_ = true; }

    /// Keeps the first failure; the run stops at it.
    void fail(std::string invariant, std::string what);
    const std::optional<Failure>& failure() const { return failure_; }

  private:
    void note(std::string line);
    /// A stretch of the engine's clock: so much is still to be made good at its beginning.
    struct Stretch {
        Instant begin;
        std::chrono::sys_time<Nanoseconds> wall;
        Nanoseconds behind{0};
    };

    Instant now_;
    WallTime wall_at_beginning_;
    std::vector<Stretch> clock_;
    bool clock_was_set_ = false;
    std::chrono::milliseconds jumped_{0};
    std::multimap<Instant, Work> events_;
    std::mt19937_64 random_;
    std::deque<std::string> last_;
    uint64_t hash_ = 14695981039346656037ULL;
    uint64_t lines_ = 0;
    bool print_ = false;
    std::optional<Failure> failure_;
    FaultCounts faults_{};
};

}  // namespace sim
