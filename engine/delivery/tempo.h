// Tempo: what a receiver takes of one path, learned from its answers as congestion control learns a
// line. One mechanism for going slower, for coming back, and for finding out whether there is more:
// - messages a second: unlimited until the receiver complains, then what it has been taking; cut by
//   a part on each further complaint, back towards what was good within seconds, and from there up
//   slowly, faster the longer nobody complains;
// - connections at a time: as many as stood when it refused one, one more tried now and then.
// Pure: it knows no replies, no limits that people set and no clock. Which reply is a complaint is
// decided by engine/bounce and the outcome table.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "engine/reactor/reactor.h"

namespace engine {

class Tempo {
  public:
    using Milliseconds = std::chrono::milliseconds;
    static constexpr double unlimited = std::numeric_limits<double>::infinity();
    static constexpr double rate_min = 1.0 / 60;  // messages a second
    static constexpr Milliseconds hold_first{1000}, hold_max{60'000};
    static constexpr Milliseconds probe_first{30'000}, probe_max{600'000};  // for a connection more
    static constexpr Milliseconds forget_after = std::chrono::hours(6);     // without a complaint

    /// What is worth keeping over a restart; 0: nothing was learned.
    struct Learned {
        double rate = 0, good = 0;
        uint32_t connections = 0;
        bool operator==(const Learned&) const = default;
    };

    Tempo() = default;
    Tempo(const Learned& from, Instant now);

    double rate() const { return rate_; }
    /// No message begins before.
    Instant hold_until() const { return hold_until_; }
    /// Messages were accepted.
    void taken(Instant now, uint32_t messages = 1);
    /// A message that had begun at `began` met a complaint about our speed. Those from before the
    /// last cut tell nothing new. True: this was a cut.
    bool refused(Instant began, Instant now);

    /// Half of what was taken lately, and no faster before `until`: somebody wants it so.
    void slow(Instant now, Instant until);

    /// At a time; SIZE_MAX: no limit is known.
    size_t connections(Instant now) const;
    /// A connection stands, and so many with it.
    void connected(size_t open, Instant now);
    /// The receiver refused one for their number while `open` others stood. True: it is a limit;
    /// false: once may be a matter of moments, when one that we closed still counts over there.
    bool connection_refused(size_t open, Instant now);

    Learned learned() const;

  private:
    /// Messages taken lately.
    class Meter {
      public:
        static constexpr int64_t slots = 16;
        void add(Instant now, uint32_t messages);
        /// Over so many slots, or as long as there was anything; over a second at least.
        double per_second(Instant now, int64_t over = slots) const;
        static constexpr int64_t second = 4;  // slots

      private:
        static constexpr std::chrono::milliseconds slot{250};

        void turn_to(int64_t index);
        // No path takes 65,536 in a quarter of a second, and there are tens of thousands of them.
        std::array<uint16_t, slots> counts_{};
        int64_t last_ = 0, first_ = -1;
    };
    void grow(Instant now);

    double rate_ = unlimited;
    double good_ = 0;  // the rate that was fine before the last complaint
    Meter meter_;
    Instant cut_at_{}, grown_at_{}, hold_until_{}, grows_from_{};
    Milliseconds hold_{};
    bool taken_since_cut_ = true;
    bool searching_ = false;  // the rate is a guess: it doubles each second until a complaint
    bool refused_once_ = false;
    size_t connections_ = SIZE_MAX;
    Instant probe_at_ = Instant::max();
    Milliseconds probe_every_ = probe_first;
};

}  // namespace engine
