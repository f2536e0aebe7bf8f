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

#include "engine/reactor/reactor.h"

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

    Instant now() const { return now_; }
    WallTime wall() const;
    /// The wall clock jumps; the monotonic one does not notice.
    void jump(std::chrono::milliseconds by) { jumped_ += by; }

    using Work = std::move_only_function<void()>;
    /// Events of one instant happen in the order in which they were asked for.
    void at(Instant when, Work work);
    void after(Nanoseconds delay, Work work) { at(now_ + delay, std::move(work)); }
    std::optional<Instant> next_event() const;
    void run_next_event();
    void move_to(Instant when);  // never backwards

    uint64_t draw(uint64_t below);  // uniform in [0, below)
    bool chance(double probability);
    /// Small ones are likelier: each magnitude between the two is as likely as the next.
    Nanoseconds some_time(Nanoseconds least, Nanoseconds most);
    uint64_t new_seed() { return random_(); }

    template <class... Args> void trace(fmt::format_string<Args...> format, Args&&... args) {
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

    Instant now_;
    std::chrono::milliseconds jumped_{0};
    std::multimap<Instant, Work> events_;
    std::mt19937_64 random_;
    std::deque<std::string> last_;
    uint64_t hash_ = 14695981039346656037ULL;
    uint64_t lines_ = 0;
    bool print_ = false;
    std::optional<Failure> failure_;
};

}  // namespace sim
