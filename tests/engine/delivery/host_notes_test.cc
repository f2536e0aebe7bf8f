// What was learned of hosts outlives the process that learned it.
#include "engine/delivery/host_notes.h"

#include <gtest/gtest.h>

#include "engine/reactor/scope.h"
#include "tests/engine/reactor/support/inline_worker.h"
#include "tests/storage/support/records.h"

namespace engine {
namespace {

using namespace std::chrono_literals;

class TestClock final : public Clock {
  public:
    Instant now() const override { return Instant{} + passed; }
    WallTime wall() const override { return WallTime{} + 400'000h + passed; }
    std::chrono::minutes passed{60};
};

class HostNotesTest : public testing::Test {
  protected:
    HostNotes notes(HostMemory& memory) { return HostNotes({clock, worker, *store, memory}); }
    size_t stored() { return store->notes("host", "", 100).value().size(); }

    storage::tests::TemporaryStore store;
    TestClock clock;
    InlineWorker worker;
    Scope scope;
};

TEST_F(HostNotesTest, OutliveARestart) {
    HostMemory before(clock);
    const auto traits = before.of("mx.x.test", 25);
    traits->reads_behind_content = HostTraits::Shown::yes;
    traits->skips_refused_chunk = HostTraits::Shown::no;
    traits->chunks_fail = true;
    traits->depth_max = Depth::envelope;
    traits->messages_max = 100;
    traits->recipients_max = 7;
    scope.spawn(notes(before).save());
    clock.passed += 1h;
    HostMemory after(clock);
    scope.spawn(notes(after).recall());
    EXPECT_EQ(*after.of("mx.x.test", 25), *traits);
}

TEST_F(HostNotesTest, NothingIsWrittenForHostsThatHaveShownNothing) {
    HostMemory memory(clock);
    memory.of("mx.x.test", 25);
    memory.of("mx.y.test", 25)->messages_max = 3;
    scope.spawn(notes(memory).save());
    EXPECT_EQ(stored(), 1u);
    EXPECT_TRUE(memory.changes().empty());
}

TEST_F(HostNotesTest, AHostThatWasMetAlreadyKeepsWhatItHasShownSince) {
    HostMemory before(clock), after(clock);
    before.of("mx.x.test", 25)->messages_max = 3;
    scope.spawn(notes(before).save());
    after.of("mx.x.test", 25)->messages_max = 5;
    scope.spawn(notes(after).recall());
    EXPECT_EQ(after.of("mx.x.test", 25)->messages_max, 5u);
}

TEST_F(HostNotesTest, AreForgottenAfterDays) {
    HostMemory before(clock), after(clock);
    before.of("mx.x.test", 25)->messages_max = 3;
    scope.spawn(notes(before).save());
    clock.passed += HostTraits::kept_for + 1min;
    scope.spawn(notes(after).recall());
    EXPECT_EQ(after.size(), 0u);
    scope.spawn(notes(after).forget());
    EXPECT_EQ(stored(), 0u);
}

TEST_F(HostNotesTest, AClockThatWasSetBackKeepsNothingForLonger) {
    HostTraits traits;
    traits.until = clock.now() + HostTraits::kept_for;
    const std::string bytes = encode(traits, clock.now(), clock.wall());
    const auto later = decode_host_traits(bytes, clock.now(), clock.wall() - 1000h);
    ASSERT_TRUE(later);
    EXPECT_EQ(later->until, clock.now() + HostTraits::kept_for);
}

TEST_F(HostNotesTest, ADamagedNoteIsNoTraits) {
    HostTraits traits;
    traits.until = clock.now() + 1h;
    const std::string bytes = encode(traits, clock.now(), clock.wall());
    for (size_t size = 0; size < bytes.size(); ++size)
        EXPECT_FALSE(decode_host_traits(bytes.substr(0, size), clock.now(), clock.wall()));
    for (size_t at = 0; at < 5; ++at) {
        std::string bad = bytes;
        bad[at] = 77;
        EXPECT_FALSE(decode_host_traits(bad, clock.now(), clock.wall())) << at;
    }
}

}  // namespace
}  // namespace engine
