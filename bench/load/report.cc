#include "bench/load/report.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace load {
namespace {

constexpr std::chrono::milliseconds bar_interval{100};
constexpr std::chrono::seconds plain_interval{5};
constexpr size_t bar_columns = 30;

}  // namespace

void Histogram::record(Clock::duration duration, uint64_t times) {
    uint64_t value = uint64_t(std::max<int64_t>(duration.count(), 16));
    unsigned power = unsigned(std::bit_width(value)) - 1;
    size_t index = (power - 4) * 16 + ((value >> (power - 4)) & 15);
    counts_[std::min(index, counts_.size() - 1)] += times;
    total_ += times;
}

std::chrono::duration<double, std::milli> Histogram::percentile(double share) const {
    uint64_t rank = uint64_t(double(total_) * share);
    uint64_t seen = 0;
    for (size_t index = 0; index < counts_.size(); ++index) {
        seen += counts_[index];
        if (seen > 0 && seen >= rank)
            return std::chrono::nanoseconds((index % 16 + 17) << (index / 16));
    }
    return {};
}

std::string Report::text() const {
    auto at = [&](double share) { return latency.percentile(share).count(); };
    std::string out = fmt::format(
        "{}: {} of {} recipients accepted in {:.2f} s, {:.0f}/s; rejected {}, throttled {}\n"
        "answer after: p50 {:.2f} ms, p90 {:.2f} ms, p99 {:.2f} ms, max {:.2f} ms\n",
        mode, accepted, wanted, seconds(), double(accepted) / std::max(seconds(), 1e-9), rejected,
        throttled, at(0.5), at(0.9), at(0.99), at(1));
    if (!error.empty()) out += fmt::format("error: {}\n", error);
    return out;
}

std::string Report::json() const {
    auto at = [&](double share) { return latency.percentile(share).count(); };
    nlohmann::ordered_json out{
        {"mode", mode},
        {"wanted", wanted},
        {"accepted", accepted},
        {"rejected", rejected},
        {"throttled", throttled},
        {"seconds", seconds()},
        {"rate_per_second", double(accepted) / std::max(seconds(), 1e-9)},
        {"latency_ms", {{"p50", at(0.5)}, {"p90", at(0.9)}, {"p99", at(0.99)}, {"max", at(1)}}}};
    if (!error.empty()) out["error"] = error;
    // A peer's octets may be in the error: never let them spoil the summary.
    return out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Progress::Style Progress::style_of_stderr() {
    return isatty(STDERR_FILENO) ? Style::bar : Style::plain;
}

void Progress::show(const Report& report) {
    auto now = Clock::now();
    if (style_ == Style::none || now < next_) return;
    next_ = now + (style_ == Style::bar ? Clock::duration(bar_interval)
                                        : Clock::duration(plain_interval));
    draw(report);
}

void Progress::finish(const Report& report) {
    if (style_ == Style::none) return;
    draw(report);
    if (style_ == Style::bar) std::fputc('\n', stderr);
}

void Progress::draw(const Report& report) {
    double seconds = std::chrono::duration<double>(Clock::now() - report.started).count();
    uint64_t done = report.accepted + report.rejected;
    double share = report.wanted > 0 ? double(done) / double(report.wanted) : 1;
    auto line = fmt::format("{:3.0f}%  {}/{}  {:.0f}/s  {:.1f} s", share * 100, done, report.wanted,
                            double(done) / std::max(seconds, 1e-3), seconds);
    if (style_ == Style::plain) {
        fmt::print(stderr, "{}: {}\n", report.mode, line);
        return;
    }
    size_t full = std::min(size_t(share * double(bar_columns)), bar_columns);
    fmt::print(stderr, "\r{} [{}{}] {}\033[K", report.mode, std::string(full, '#'),
               std::string(bar_columns - full, '.'), line);
    std::fflush(stderr);
}

}  // namespace load
