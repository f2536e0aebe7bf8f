#include "bench/load/run.h"

namespace load {

bool Stall::over(const Report& report) {
    uint64_t answered = report.accepted + report.rejected;
    auto now = Clock::now();
    if (answered != last_) {
        last_ = answered;
        since_ = now;
    }
    return now - since_ > patience_;
}

}  // namespace load
