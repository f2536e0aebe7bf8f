// A disk that turns bits. Whatever it turns, in whichever file: what was acknowledged is there, or
// somebody is told so, with the name of the file.
#include <gmock/gmock.h>

#include <cstdlib>
#include <fstream>
#include <random>
#include <set>

#include "storage/store.h"
#include "tests/storage/support/faulty_fs.h"
#include "tests/storage/support/records.h"
#include "tests/storage/support/workload.h"

namespace storage {
namespace {

using namespace storage::tests;
namespace fs = std::filesystem;

void turn_bit(const fs::path& path, uint64_t bit) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    const auto at = static_cast<std::streamoff>(bit / 8);
    file.seekg(at);
    const auto turned = static_cast<char>(file.get() ^ 1 << bit % 8);
    file.seekp(at);
    file.put(turned);
}

/// A store with everything in it: tables of several starts, blobs, a log.
class DamagedStore : public ::testing::Test {
  protected:
    void SetUp() override {
        for (int start = 0; start < 3; ++start) {
            auto store = open_or_fail({.data_dir = sound(), .file_system = disk});
            for (uint64_t i = 1; i <= 40; ++i) {
                const auto group = workload.next();
                ASSERT_TRUE(store->commit(group, 0, i).has_value());
                workload.acknowledged(group);
            }
        }
    }
    fs::path sound() const { return directory.path() / "data"; }

    TemporaryDirectory directory;
    std::shared_ptr<FaultyFs> disk = std::make_shared<FaultyFs>();  // whose syncs cost nothing
    Workload workload{11};
};

/// Reads all there is. The first error, or nullopt; what is there goes into `image`.
std::optional<Error> read_all(Store& store, Image& image) {
    const auto events = store.events(0, SIZE_MAX);
    if (!events) return events.error();
    for (const Event& event : *events) image.stories[event.delivery].push_back(event.type);
    const auto queues = store.queues();
    if (!queues) return queues.error();
    for (const auto& [id, info] : *queues) {
        const auto rows = store.read_queue(id, std::nullopt, SIZE_MAX);
        if (!rows) return rows.error();
        for (const Delivery& row : *rows) {
            image.rows.insert(key_of(row));
            const auto content = store.content(row.id.job);
            if (!content) return content.error();
            EXPECT_EQ(*content, Workload::content_of(row.id.job));
        }
    }
    for (const auto& [id, story] : image.stories) {
        const auto job = store.job(id.job);
        if (!job) return job.error();
    }
    return std::nullopt;
}

TEST_F(DamagedStore, LosesNothingSilentlyWhicheverBitIsTurned) {
    std::mt19937_64 random(5);
    const int places = std::getenv("SLUICE_LONG") ? 500 : 16;
    int refused = 0, told = 0, harmless = 0;
    std::set<fs::path> files;  // in one order, so that a failure can be repeated
    for (const auto& entry : fs::directory_iterator(sound() / "rocksdb"))
        files.insert(entry.path());
    for (const fs::path& file : files) {
        const uint64_t bits = fs::file_size(file) * 8;
        for (int i = 0; i < places && bits > 0; ++i) {
            const uint64_t bit = random() % bits;
            SCOPED_TRACE(testing::Message() << file.filename() << " bit " << bit << " of " << bits);
            TemporaryDirectory copy;
            fs::copy(sound(), copy.path() / "data", fs::copy_options::recursive);
            turn_bit(copy.path() / "data/rocksdb" / file.filename(), bit);
            auto store = Store::open({.data_dir = copy.path() / "data", .file_system = disk});
            if (!store) {
                ++refused;
                EXPECT_EQ(store.error().code, Errc::corruption) << store.error().what;
                EXPECT_THAT(store.error().what, testing::HasSubstr("data/rocksdb"));
                EXPECT_THAT(store.error().what, testing::HasSubstr("fsck"));
                continue;
            }
            Image found;
            const auto error = read_all(**store, found);
            if (error) {
                ++told;
                EXPECT_EQ(error->code, Errc::corruption) << error->what;
                EXPECT_THAT(error->what, testing::HasSubstr("fsck"));
            } else if ((*store)->unreadable() > 0) {
                ++told;  // and what can be read was read, nothing else
                for (const DeliveryKey& row : found.rows)
                    EXPECT_TRUE(workload.image().rows.contains(row));
            } else {
                ++harmless;
                EXPECT_EQ(found, workload.image());
            }
            // Whatever it was, mail still comes in and goes out.
            const Batch more = accept_all(make_job(job_id(60'000)), 1, {7, 7});
            const auto first = (*store)->commit({&more, 1}, 0, 1000);
            EXPECT_TRUE(first.has_value()) << first.error().what;
            const Batch end = finish(more.puts[0]);
            const auto second = (*store)->commit({&end, 1}, 0, 1001);
            EXPECT_TRUE(second.has_value()) << second.error().what;
            if (HasFailure()) return;
        }
    }
    std::printf("refused at the start %d, told at a read %d, harmless %d\n", refused, told,
                harmless);
    EXPECT_GT(refused, 10);
    EXPECT_GT(told, 5);
}

/// In its middle: what is largest are the rows of the family that the test has filled.
void damage_largest_table(const fs::path& data) {
    (void)open_or_fail({.data_dir = data});  // writes the log into tables
    fs::path table;
    for (const auto& entry : fs::directory_iterator(data / "rocksdb"))
        if (entry.path().extension() == ".sst" &&
            (table.empty() || entry.file_size() > fs::file_size(table)))
            table = entry.path();
    turn_bit(table, fs::file_size(table) * 4);
}

TEST(DamagedQueue, IsReadOnBehindTheDamage) {
    constexpr uint32_t recipients = 3000;
    constexpr QueueId large{1, 1}, small{2, 2};
    TemporaryDirectory directory;
    const fs::path data = directory.path() / "data";
    {
        auto store = open_or_fail({.data_dir = data});
        std::mt19937 random(1);
        Batch batch = accept_all(make_job(job_id(5)), recipients, large);
        for (Delivery& delivery : batch.puts)
            for (int i = 0; i < 60; ++i) delivery.vars.push_back(static_cast<char>(random()));
        commit_or_fail(*store, batch, 1);
        commit_or_fail(*store, accept_all(make_job(job_id(6)), 2, small), 2);
    }
    damage_largest_table(data);

    auto store = open_or_fail({.data_dir = data});
    EXPECT_EQ(store->queues()->size(), 2U);
    std::set<DeliveryKey> rows;
    std::optional<DeliveryKey> after;
    while (true) {  // as a window does
        const auto page = store->read_queue(large, after, 500);
        ASSERT_TRUE(page.has_value()) << page.error().what;
        for (const Delivery& row : *page) EXPECT_TRUE(rows.insert(key_of(row)).second);
        if (page->size() < 500) break;
        after = key_of(page->back());
    }
    EXPECT_GT(rows.size(), recipients - 400U);
    EXPECT_LT(rows.size(), recipients);
    EXPECT_EQ(store->read_queue(small, std::nullopt, 500)->size(), 2U);
    EXPECT_GT(store->unreadable(), 0U);
    EXPECT_TRUE(store->healthy());
}

TEST(DamagedEvents, AreReadOnBehindTheDamage) {
    constexpr uint64_t count = 3000;
    TemporaryDirectory directory;
    const fs::path data = directory.path() / "data";
    {
        auto store = open_or_fail({.data_dir = data});
        std::mt19937 random(1);
        Batch batch = accept_all(make_job(job_id(5)), count);
        for (Event& event : batch.events)
            for (int i = 0; i < 100; ++i) event.meta.push_back(static_cast<char>(random()));
        commit_or_fail(*store, batch, 1);
    }
    damage_largest_table(data);

    auto store = open_or_fail({.data_dir = data});
    std::set<uint64_t> numbers;
    uint64_t after = 0;
    while (true) {  // as a feed does
        const auto page = store->events(after, 500);
        ASSERT_TRUE(page.has_value()) << page.error().what;
        if (page->empty()) break;
        for (const Event& event : *page) EXPECT_TRUE(numbers.insert(event.seq).second);
        after = page->back().seq;
    }
    EXPECT_EQ(after, count) << "the last one is behind the damage";
    EXPECT_GT(numbers.size(), count - 400);
    EXPECT_LT(numbers.size(), count);
    EXPECT_GT(store->unreadable(), 0U);
    for (uint64_t number = 1, missing = 0; number <= count; ++number) {
        if (numbers.contains(number)) continue;
        if (missing++ > 0) continue;
        // In front of it and in it.
        EXPECT_EQ(store->events(number - 2, 1)->front().seq, number - 1);
        EXPECT_GT(store->events(number - 1, 1)->front().seq, number);
        EXPECT_TRUE(store->events_of({job_id(5), static_cast<uint32_t>(number - 1)}, 10)->empty());
    }
    EXPECT_EQ(store->events_of({job_id(5), count - 1}, 10)->size(), 1U);
    EXPECT_TRUE(store->first_event_since(noon - std::chrono::hours(1)).has_value());
    EXPECT_EQ(store->first_event_since(noon + std::chrono::hours(1)).value(), count + 1);
    EXPECT_TRUE(store->healthy());
}

}  // namespace
}  // namespace storage
