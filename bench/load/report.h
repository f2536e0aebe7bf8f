// How a run is going and how it went: progress while it runs, then rate, latencies and counts.
#pragma once
#include <array>
#include <chrono>
#include <cstdint>
#include <string>

namespace load {

using Clock = std::chrono::steady_clock;

/// Durations by size class, 16 to each doubling: percentiles are right to about 5%.
class Histogram {
  public:
    void record(Clock::duration duration, uint64_t times = 1);

    /// The upper end of the class in which the share lies; zero when nothing was recorded.
    std::chrono::duration<double, std::milli> percentile(double share) const;

  private:
    std::array<uint64_t, 16 * 60> counts_{};
    uint64_t total_ = 0;
};

struct Report {
    std::string mode;
    uint64_t wanted = 0;  // recipients
    uint64_t accepted = 0;
    uint64_t rejected = 0;   // answered with a refusal
    uint64_t throttled = 0;  // answers that asked to come again (429, 503, 4xx); sent again
    std::string error;       // why the run ended early, or the first refusal; empty: neither
    Histogram latency;       // from the last octet sent to its answer
    Clock::time_point started = Clock::now();
    Clock::time_point ended;

    bool complete() const { return accepted == wanted; }
    double seconds() const { return std::chrono::duration<double>(ended - started).count(); }
    std::string text() const;
    std::string json() const;
};

/// One line on a terminal that is written over; on anything else a line now and then.
class Progress {
  public:
    enum class Style : uint8_t { none, plain, bar };
    static Style style_of_stderr();

    explicit Progress(Style style) : style_(style) {}

    /// Shows the state if it is time to.
    void show(const Report& report);

    /// Shows the last state and ends the line.
    void finish(const Report& report);

  private:
    void draw(const Report& report);

    Style style_;
    Clock::time_point next_ = Clock::now();
};

}  // namespace load
