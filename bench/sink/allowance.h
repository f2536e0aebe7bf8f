// Allowance: messages a second, as a bucket of tokens that holds a tenth of a second's worth (one
// at least): a receiver that is strict about its limit.
#pragma once
#include <algorithm>
#include <chrono>

namespace sink {

class Allowance {
  public:
    using Time = std::chrono::steady_clock::time_point;

    /// 0: no limit.
    explicit Allowance(double per_second = 0)
        : per_second_(per_second), depth_(std::max(1.0, per_second / 10)), tokens_(depth_) {}

    bool take(Time now) {
        if (per_second_ <= 0) return true;
        const std::chrono::duration<double> passed = now - filled_;
        tokens_ = std::min(depth_, tokens_ + passed.count() * per_second_);
        filled_ = now;
        if (tokens_ < 1) return false;
        tokens_ -= 1;
        return true;
    }

  private:
    double per_second_, depth_, tokens_;
    Time filled_{};
};

}  // namespace sink
