// Counters, gauges and histograms with one writer thread each: an update is a relaxed load and
// store, never a locked instruction. The exposer reads them from its own thread and adds up what
// the shards hold under one name.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace metrics {

class Counter {
  public:
    void add(uint64_t n = 1) noexcept {
        value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
    uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

  private:
    std::atomic<uint64_t> value_{0};
};

class Gauge {
  public:
    void set(double v) noexcept { value_.store(v, std::memory_order_relaxed); }
    void add(double v) noexcept { set(value() + v); }
    double value() const noexcept { return value_.load(std::memory_order_relaxed); }

  private:
    std::atomic<double> value_{0};
};

/// Upper bounds of buckets, ascending, without +Inf.
using Buckets = std::span<const double>;

class Histogram {
  public:
    static constexpr size_t buckets_max = 24;
    explicit Histogram(Buckets bounds);
    void observe(double v) noexcept;
    struct Reading {
        std::array<uint64_t, buckets_max + 1>
            counts{};  // not cumulative; the last used one is +Inf
        double sum = 0;
    };
    Reading read() const noexcept;
    Buckets bounds() const { return bounds_; }

  private:
    Buckets bounds_;
    std::array<std::atomic<uint64_t>, buckets_max + 1> counts_{};
    std::atomic<double> sum_{0};
};

enum class Kind : uint8_t { counter, gauge, histogram };

/// How the exposer joins what several registries hold under one name and labels.
enum class Across : uint8_t { sum, max };

/// One metric family, declared once in metrics/catalog.h as a constexpr.
struct Family {
    const char* name;  // with the prefix: "sluice_messages_accepted_total"
    const char* help;
    Kind kind;
    std::array<const char*, 3> labels{};  // names; null when fewer
    Buckets buckets{};
    uint32_t series_max = 1000;  // per registry; what is beyond goes to one series labelled "other"
    double unit = 1;  // what one count of a Counter is worth: 1e-9 when it counts nanoseconds
    Across across = Across::sum;
};

/// The metrics of one thread. Only that thread asks for series and updates them; references stay
/// valid as long as the registry. Ask once and keep the reference where it is hot.
class Registry {
  public:
    Registry();
    ~Registry();
    Counter& counter(const Family& family,
                     std::initializer_list<std::string_view> label_values = {});
    Gauge& gauge(const Family& family, std::initializer_list<std::string_view> label_values = {});
    Histogram& histogram(const Family& family,
                         std::initializer_list<std::string_view> label_values = {});

    struct State;
    const State& state() const { return *state_; }  // for the exposer: safe to read from any thread

  private:
    std::unique_ptr<State> state_;
};

}  // namespace metrics
