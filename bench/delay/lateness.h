// How exact a delay line has been: how long after its time each piece was handed on.
#pragma once
#include <array>
#include <chrono>
#include <cstdint>
#include <string>

namespace delay {

class Lateness {
  public:
    void add(std::chrono::nanoseconds late);
    uint64_t pieces() const { return pieces_; }
    /// The upper end of the 10 us wide bucket in which that share (0 to 1) of the pieces is
    /// reached.
    std::chrono::microseconds quantile(double share) const;
    /// "1,234 pieces, late by 20 us (p50), 80 us (p99), 412 us (max)".
    std::string text() const;

  private:
    static constexpr std::chrono::microseconds bucket{10};
    std::array<uint64_t, 1000> counts_{};  // the last one holds whatever was later than 10 ms
    uint64_t pieces_ = 0;
    std::chrono::nanoseconds latest_{0};
};

}  // namespace delay
