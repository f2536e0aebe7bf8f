// Readers of events see every one of them, in order, whoever commits at the same time.
#include <gmock/gmock.h>

#include <thread>

#include "storage/event_log.h"
#include "storage/ledger.h"
#include "storage/store.h"
#include "tests/storage/support/records.h"

namespace storage {
namespace {

using namespace storage::tests;
using std::chrono::hours;
using ::testing::ElementsAre;

TEST(EventLog, StopsReadersInFrontOfACommitInFlight) {
    EventLog log(10);
    const auto first = log.begin(3);
    const auto second = log.begin(2);
    EXPECT_EQ(first.first, 11U);
    EXPECT_EQ(log.committed(second), 10U);
    EXPECT_EQ(log.committed(first), 15U);
}

TEST(EventLog, LetsReadersPassAFailureOnceALaterCommitSucceeds) {
    EventLog log(0);
    const auto before = log.begin(1);
    const auto broken = log.begin(2);
    log.failed(broken);
    EXPECT_EQ(log.committed(before), 1U) << "it began before the failure and proves nothing";
    const auto after = log.begin(0);
    EXPECT_EQ(log.committed(after), 3U);
}

class EventsTest : public ::testing::Test {
  protected:
    Committed commit(const Batch& batch) { return commit_or_fail(*store, batch, ++group); }
    void reopen() {
        store.reset();
        store = open_or_fail({.data_dir = directory.path() / "data"});
    }
    Batch event_at(WallTime time, uint16_t job = 1) {
        Batch batch;
        batch.events.push_back(make_event(Event::Type::complaint, {job_id(job), 0}, "acme", time));
        return batch;
    }

    TemporaryDirectory directory;
    uint64_t group = 0;
    std::unique_ptr<Store> store = open_or_fail({.data_dir = directory.path() / "data"});
};

TEST_F(EventsTest, AreReadInOrderFromACursor) {
    EXPECT_EQ(store->first_event(), 0U);
    const Committed done = commit(accept_all(make_job(job_id(1)), 5));
    EXPECT_EQ(done.events_upto, 5U);
    EXPECT_EQ(store->last_event(), 5U);
    EXPECT_EQ(store->first_event(), 1U);
    const auto some = store->events(2, 2).value();
    ASSERT_EQ(some.size(), 2U);
    EXPECT_EQ(some[0].seq, 3U);
    EXPECT_EQ(some[1].seq, 4U);
    EXPECT_TRUE(store->events(5, 10)->empty());
    EXPECT_TRUE(store->events(UINT64_MAX, 10)->empty());
    reopen();
    EXPECT_EQ(commit(event_at(noon)).events_upto, 6U);
}

TEST_F(EventsTest, AreNeverSkippedWhileSeveralThreadsCommit) {
    constexpr uint64_t commits = 60;
    constexpr uint16_t threads_count = 4;
    std::vector<uint64_t> seen;
    {
        std::vector<std::jthread> threads;
        for (uint16_t shard = 0; shard < threads_count; ++shard)
            threads.emplace_back([this, shard] {
                for (uint64_t i = 1; i <= commits; ++i) {
                    Batch batch;
                    for (uint64_t n = 0; n <= i % 3; ++n)
                        batch.events.push_back(
                            make_event(Event::Type::complaint, {job_id(shard), 0}));
                    const auto done = store->commit({&batch, 1}, shard, i);
                    ASSERT_TRUE(done.has_value());
                }
            });
        constexpr uint64_t all = threads_count * commits * 2;
        for (uint64_t cursor = 0; seen.size() < all;) {
            for (const Event& event : store->events(cursor, 50).value()) {
                seen.push_back(event.seq);
                cursor = event.seq;
            }
            std::this_thread::yield();
        }
    }
    for (size_t i = 0; i < seen.size(); ++i) ASSERT_EQ(seen[i], i + 1);
}

TEST_F(EventsTest, OfADeliveryTellItsStory) {
    const Batch batch = accept_all(make_job(job_id(1)), 3);
    commit(batch);
    for (int i = 0; i < 5000; i += 500) {  // others' events lie between
        Batch others;
        for (int n = 0; n < 500; ++n) others.events.push_back(event_at(noon, 2).events[0]);
        commit(others);
    }
    const Batch later = defer(batch.puts[1], noon + hours(1));
    commit(later);
    commit(finish(later.puts[0]));
    const auto story = store->events_of({job_id(1), 1}, 10).value();
    ASSERT_EQ(story.size(), 3U);
    EXPECT_EQ(story[0].type, Event::Type::accepted);
    EXPECT_EQ(story[1].type, Event::Type::deferred);
    EXPECT_EQ(story[2].type, Event::Type::delivered);
    EXPECT_EQ(store->events_of({job_id(1), 1}, 2)->size(), 2U);
    EXPECT_TRUE(store->events_of({job_id(7), 0}, 2)->empty());
}

TEST_F(EventsTest, PastTheirRetentionAreDroppedAndTheirNumbersNeverComeAgain) {
    commit(event_at(noon));
    commit(event_at(noon + hours(1)));
    commit(event_at(noon + hours(2)));
    ASSERT_TRUE(store->collect(noon + hours(73)).has_value());
    EXPECT_EQ(store->first_event(), 2U);
    EXPECT_EQ(store->events(0, 10)->at(0).seq, 2U);
    ASSERT_TRUE(store->collect(noon + hours(100)).has_value());
    EXPECT_EQ(store->first_event(), 0U);
    EXPECT_TRUE(store->events(0, 10)->empty());
    reopen();
    EXPECT_EQ(store->last_event(), 3U);
    EXPECT_EQ(commit(event_at(noon + hours(100))).events_upto, 4U);
    EXPECT_EQ(store->first_event(), 4U);
}

TEST_F(EventsTest, OfFinishedJobsOutliveTheJobNoLongerThanItsRetention) {
    const Batch old = accept_all(make_job(job_id(1)), 1);
    const Batch open = accept_all(make_job(job_id(2)), 1);
    commit(old);
    commit(open);
    commit(finish(old.puts[0], Event::Type::delivered, noon + hours(10)));
    ASSERT_TRUE(store->collect(noon + hours(81)).has_value());
    EXPECT_TRUE(store->job(job_id(1)).value().has_value()) << "72 h after its end, not its start";
    ASSERT_TRUE(store->collect(noon + hours(83)).has_value());
    EXPECT_FALSE(store->job(job_id(1)).value().has_value());
    EXPECT_TRUE(store->job(job_id(2)).value().has_value()) << "has an open delivery";
    commit(finish(open.puts[0], Event::Type::delivered, noon + hours(90)));
    ASSERT_TRUE(store->collect(noon + hours(200)).has_value());
    EXPECT_FALSE(store->job(job_id(2)).value().has_value());
    reopen();
    EXPECT_EQ(store->last_job(), job_id(2)) << "ids must not be given out again";
    EXPECT_EQ(store->ledger().at("acme").delivered, 2U);
}

TEST(EventRanges, StayFewAndStillHoldEverything) {
    EventRanges ranges;
    constexpr uint64_t step = 5000;
    for (uint64_t i = 0; i < 20'000; ++i) ranges.add(i * step);
    EXPECT_LE(ranges.numbers().size(), EventRanges::ranges_max);
    for (uint64_t i = 0; i < 20'000; ++i)
        ASSERT_TRUE(std::ranges::binary_search(ranges.numbers(), i * step >> ranges.shift()));
    EventRanges other;
    other.add(17);
    other.add(ranges);
    EXPECT_EQ(other.shift(), ranges.shift());
    EXPECT_EQ(other.numbers().front(), 0U);
}

}  // namespace
}  // namespace storage
