// Warmup: how much a source that is new may send to one site on each day of its life.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "storage/types.h"

namespace engine {

/// Of a [[source]].
struct WarmupPlan {
    std::chrono::sys_days began{};   // its first day, UTC
    std::vector<uint32_t> messages;  // of each day to each site, from the first on; then no limit
};

/// What was sent over one path today.
class Warmup {
  public:
    struct Sent {
        int32_t day = 0;  // days since 1970, UTC
        uint32_t messages = 0;
        bool operator==(const Sent&) const = default;
    };
    Warmup() = default;
    explicit Warmup(Sent sent) : sent_(sent) {}

    void add(storage::WallTime now) {
        turn_to(now);
        ++sent_.messages;
    }
    /// Of today; nullopt: no limit (any more, or before its first day).
    static std::optional<uint32_t> allowed(const WarmupPlan& plan, storage::WallTime now) {
        const auto age = std::chrono::floor<std::chrono::days>(now) - plan.began;
        if (age.count() < 0) return 0;
        if (static_cast<size_t>(age.count()) >= plan.messages.size()) return std::nullopt;
        return plan.messages[static_cast<size_t>(age.count())];
    }
    /// When the next day begins, if today's part is used up.
    std::optional<storage::WallTime> full_until(const WarmupPlan& plan, storage::WallTime now) {
        turn_to(now);
        const auto most = allowed(plan, now);
        if (!most || sent_.messages < *most) return std::nullopt;
        return std::chrono::floor<std::chrono::days>(now) + std::chrono::days(1);
    }
    const Sent& sent() const { return sent_; }

  private:
    void turn_to(storage::WallTime now) {
        const auto day = static_cast<int32_t>(
            std::chrono::floor<std::chrono::days>(now).time_since_epoch().count());
        if (day != sent_.day) sent_ = {day, 0};
    }
    Sent sent_;
};

}  // namespace engine
