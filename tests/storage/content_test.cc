// A content lives as long as a delivery may need it, and no longer.
#include <gmock/gmock.h>

#include <filesystem>
#include <random>
#include <thread>

#include "storage/store.h"
#include "tests/storage/support/records.h"

namespace storage {
namespace {

using namespace storage::tests;
using std::chrono::milliseconds;

class ContentTest : public ::testing::TestWithParam<size_t> {
  protected:
    void reopen() {
        store.reset();
        store = open_or_fail({.data_dir = directory.path() / "data"});
    }
    void commit(const Batch& batch) { commit_or_fail(*store, batch, ++group); }
    // Contents go with a later commit, never with the one that made them useless.
    void commit_something_else() {
        Batch batch;
        batch.events.push_back(make_event(Event::Type::complaint, {job_id(999), 0}));
        commit(batch);
    }
    bool kept(JobId job_of) const { return store->content(job_of).value().has_value(); }
    Batch end_of(JobId ended) const {
        Batch batch;
        batch.job_ends.push_back(ended);
        return batch;
    }

    TemporaryDirectory directory;
    uint64_t group = 0;
    std::unique_ptr<Store> store = open_or_fail({.data_dir = directory.path() / "data"});
    const JobId id = job_id(1);
    const Job job = make_job(id, std::string(GetParam(), 'c'));
};

TEST_P(ContentTest, IsReadAsItWasStored) {
    commit(accept_all(job, 1));
    EXPECT_EQ(store->content(id).value(), job.content);
    reopen();
    EXPECT_EQ(store->content(id).value(), job.content);
}

TEST_P(ContentTest, GoesAfterTheLastDelivery) {
    const Batch batch = accept_all(job, 2);
    commit(batch);
    commit(finish(batch.puts[0]));
    commit_something_else();
    EXPECT_TRUE(kept(id));
    commit(finish(batch.puts[1]));
    commit_something_else();
    EXPECT_FALSE(kept(id));
}

TEST_P(ContentTest, GoesWithCollectWhenNothingElseIsCommitted) {
    const Batch batch = accept_all(job, 1);
    commit(batch);
    commit(finish(batch.puts[0]));
    ASSERT_TRUE(store->collect(noon).has_value());
    EXPECT_FALSE(kept(id));
}

TEST_P(ContentTest, IsHeldWhileTheJobStillComesIn) {
    const Batch batch = accept(job, 1);
    commit(batch);
    commit(finish(batch.puts[0]));
    commit_something_else();
    ASSERT_TRUE(store->collect(noon).has_value());
    EXPECT_TRUE(kept(id));
    commit(end_of(id));
    commit_something_else();
    EXPECT_FALSE(kept(id));
}

TEST_P(ContentTest, SurvivesDeferrals) {
    const Batch batch = accept_all(job, 1);
    commit(batch);
    const Batch later = defer(batch.puts[0], noon + milliseconds(1));
    commit(later);
    commit_something_else();
    EXPECT_TRUE(kept(id));
    commit(finish(later.puts[0]));
    commit_something_else();
    EXPECT_FALSE(kept(id));
}

TEST_P(ContentTest, OfACutJobGoesWithItsLastDeliveryAfterARestart) {
    const Batch batch = accept(job, 2);
    commit(batch);
    commit(finish(batch.puts[0]));
    reopen();
    ASSERT_TRUE(store->collect(noon).has_value());
    EXPECT_TRUE(kept(id)) << "a delivery is still open";
    commit(finish(batch.puts[1]));
    commit_something_else();
    EXPECT_FALSE(kept(id));
}

TEST_P(ContentTest, ThatACrashOrphanedGoesWithCollect) {
    const Batch batch = accept_all(job, 1);
    commit(batch);
    commit(finish(batch.puts[0]));  // nothing follows that could take the content along
    reopen();
    EXPECT_TRUE(kept(id));
    ASSERT_TRUE(store->collect(noon).has_value());
    EXPECT_FALSE(kept(id));
}

size_t blob_bytes(const std::filesystem::path& directory) {
    size_t sum = 0;
    for (const auto& entry : std::filesystem::directory_iterator(directory))
        if (entry.path().extension() == ".blob") sum += entry.file_size();
    return sum;
}

TEST(LargeContents, GiveTheirRoomBackWhenLittleElseHappens) {
    TemporaryDirectory directory;
    const StoreOptions options{.data_dir = directory.path() / "data"};
    auto store = open_or_fail(options);
    std::vector<Delivery> open;
    std::mt19937 random(1);
    for (uint16_t n = 1; n <= 20; ++n) {
        std::string content(200'000, 'c');
        for (char& c : content) c = static_cast<char>(random());  // that no compression makes small
        const Batch batch = accept_all(make_job(job_id(n), content), 1);
        commit_or_fail(*store, batch, n);
        open.push_back(batch.puts[0]);
    }
    store.reset();
    store = open_or_fail(options);  // writes the log into tables and blobs
    EXPECT_GT(blob_bytes(directory.path() / "data/rocksdb"), 4'000'000U);
    uint64_t group = 0;
    for (const Delivery& delivery : open) commit_or_fail(*store, finish(delivery), ++group);
    // RocksDB's own threads do it; an hour of the collector is a call here.
    size_t left = SIZE_MAX;
    for (int hour = 1; hour < 2000 && left > 0; ++hour) {
        ASSERT_TRUE(store->collect(noon + std::chrono::hours(hour)).has_value());
        std::this_thread::sleep_for(milliseconds(5));
        left = blob_bytes(directory.path() / "data/rocksdb");
    }
    EXPECT_EQ(left, 0U);
}

TEST_P(ContentTest, OfAJobWithoutRecipientsGoesWhenItEnds) {
    commit(accept_all(job, 0));
    commit_something_else();
    EXPECT_FALSE(kept(id));
}

INSTANTIATE_TEST_SUITE_P(SmallAndLarge, ContentTest, ::testing::Values(10, 200'000));

}  // namespace
}  // namespace storage
