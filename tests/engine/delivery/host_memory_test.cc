#include "engine/delivery/host_memory.h"

#include <gtest/gtest.h>

namespace engine {
namespace {

class SetClock : public Clock {
  public:
    Instant now() const override { return now_; }
    WallTime wall() const override { return {}; }
    void pass(std::chrono::hours time) { now_ += time; }

  private:
    Instant now_{std::chrono::hours(1)};
};

TEST(HostMemory, IsSharedByTheConnectionsToAHostAndPort) {
    SetClock clock;
    HostMemory memory(clock);
    memory.of("mx.x.test", 25)->messages_max = 7;
    EXPECT_EQ(memory.of("mx.x.test", 25)->messages_max, 7u);
    EXPECT_EQ(memory.of("mx.x.test", 2525)->messages_max, 0u);
    EXPECT_EQ(memory.of("mx.y.test", 25)->messages_max, 0u);
}

TEST(HostMemory, ForgetsAHostAfterDays) {
    SetClock clock;
    HostMemory memory(clock);
    memory.of("mx.x.test", 25)->chunks_fail = true;
    clock.pass(HostTraits::kept_for - std::chrono::hours(1));
    EXPECT_TRUE(memory.of("mx.x.test", 25)->chunks_fail);
    clock.pass(std::chrono::hours(1));
    EXPECT_FALSE(memory.of("mx.x.test", 25)->chunks_fail);
}

TEST(HostMemory, KeepsTroubleForDaysFromTheTrouble) {
    SetClock clock;
    HostMemory memory(clock);
    const auto traits = memory.of("mx.x.test", 25);
    clock.pass(std::chrono::hours(70));
    traits->step_down_from(Depth::next, clock.now());
    clock.pass(std::chrono::hours(70));
    EXPECT_EQ(memory.of("mx.x.test", 25)->depth_max, Depth::envelope);
}

TEST(HostMemory, IsBoundedAndLetsTheOldestGo) {
    SetClock clock;
    HostMemory memory(clock);
    memory.of("first.test", 25)->messages_max = 1;
    memory.of("second.test", 25)->messages_max = 2;
    for (size_t i = 0; memory.size() < HostMemory::hosts_max; ++i)
        memory.of("h" + std::to_string(i), 25);
    memory.of("first.test", 25);  // asked for again
    memory.of("one.more.test", 25);
    EXPECT_EQ(memory.size(), HostMemory::hosts_max);
    EXPECT_EQ(memory.of("first.test", 25)->messages_max, 1u);
    EXPECT_EQ(memory.of("second.test", 25)->messages_max, 0u);
}

}  // namespace
}  // namespace engine
