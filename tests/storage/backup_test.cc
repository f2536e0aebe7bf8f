// A backup is made while commits go on, and what is restored is a whole queue.
#include <gmock/gmock.h>

#include <fstream>
#include <thread>

#include "storage/fsck.h"
#include "storage/store.h"
#include "tests/storage/support/records.h"
#include "tests/storage/support/workload.h"

namespace storage {
namespace {

using namespace storage::tests;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

class BackupTest : public ::testing::Test {
  protected:
    TemporaryDirectory directory;
    const fs::path data = directory.path() / "data", target = directory.path() / "backup",
                   restored = directory.path() / "restored";
};

TEST_F(BackupTest, HoldsAllThatWasAcknowledgedBeforeIt) {
    Workload workload(7);
    auto store = open_or_fail({.data_dir = data, .log_dir = directory.path() / "log"});
    for (uint64_t i = 1; i <= 60; ++i) {
        const auto group = workload.next();
        ASSERT_TRUE(store->commit(group, 0, i).has_value());
        workload.acknowledged(group);
    }
    const auto made = store->backup(target, noon);
    ASSERT_TRUE(made.has_value()) << made.error().what;
    EXPECT_EQ(made->open, workload.image().rows.size());
    const Image then = workload.image();
    for (uint64_t i = 61; i <= 120; ++i) {
        const auto group = workload.next();
        ASSERT_TRUE(store->commit(group, 0, i).has_value());
        workload.acknowledged(group);
    }
    store.reset();
    const auto back = restore_backup(target, restored);
    ASSERT_TRUE(back.has_value()) << back.error().what;
    EXPECT_EQ(back->last_event, made->last_event);
    EXPECT_EQ(back->time, noon);
    EXPECT_TRUE(fsck({.data_dir = restored})->sound());
    store = open_or_fail({.data_dir = restored});
    EXPECT_EQ(image_of(*store), then);
}

TEST_F(BackupTest, IsWholeWhileCommitsGoOn) {
    auto store = open_or_fail({.data_dir = data, .memory_bytes = size_t{1} << 20});
    std::atomic<bool> stop{false};
    std::jthread load([&] {
        Workload workload(9);
        for (uint64_t i = 1; !stop; ++i) {
            const auto group = workload.next();
            if (store->commit(group, 0, i)) workload.acknowledged(group);
        }
    });
    for (int i = 0; i < 5; ++i) {
        const uint64_t before = store->last_event();
        const fs::path at = target.string() + std::to_string(i);
        ASSERT_TRUE(store->backup(at, noon).has_value());
        const fs::path to = restored.string() + std::to_string(i);
        ASSERT_TRUE(restore_backup(at, to).has_value());
        const auto report = fsck({.data_dir = to});
        ASSERT_TRUE(report.has_value()) << report.error().what;
        EXPECT_TRUE(report->sound()) << report->left.front().what;
        auto copy = open_or_fail({.data_dir = to});
        EXPECT_GE(copy->last_event(), before);
        (void)image_of(*copy);
    }
    stop = true;
}

TEST_F(BackupTest, WritesOverNothing) {
    auto store = open_or_fail({.data_dir = data});
    ASSERT_TRUE(store->backup(target, noon).has_value());
    EXPECT_THAT(store->backup(target, noon).error().what, HasSubstr("exists"));
    EXPECT_THAT(store->backup("relative", noon).error().what, HasSubstr("absolute"));
    EXPECT_THAT(store->backup(directory.path() / "no/such", noon).error().what,
                HasSubstr("parent"));
    EXPECT_THAT(restore_backup(target, data).error().what, HasSubstr("is not empty"));
    EXPECT_THAT(restore_backup(data, restored).error().what, HasSubstr("is no backup"));
}

TEST_F(BackupTest, FillsTheRootOfAFileSystemAndEndsARestoreThatWasCut) {
    auto store = open_or_fail({.data_dir = data});
    commit_or_fail(*store, accept_all(make_job(job_id(1)), 3));
    ASSERT_TRUE(store->backup(target, noon).has_value());
    fs::create_directories(restored / "lost+found");
    fs::create_directories(restored / "restoring" / "rocksdb");
    std::ofstream(restored / "restoring" / "rocksdb" / "000001.sst") << "half";
    const auto back = restore_backup(target, restored);
    ASSERT_TRUE(back.has_value()) << back.error().what;
    EXPECT_FALSE(fs::exists(restored / "restoring"));
    EXPECT_FALSE(fs::exists(restored / "rocksdb" / "000001.sst"));
    EXPECT_EQ(open_or_fail({.data_dir = restored})->ledger().at("acme").open(), 3U);
}

TEST_F(BackupTest, ThatIsIncompleteIsNotRestored) {
    auto store = open_or_fail({.data_dir = data});
    commit_or_fail(*store, accept_all(make_job(job_id(1)), 1));
    ASSERT_TRUE(store->backup(target, noon).has_value());
    for (const auto& entry : fs::directory_iterator(target / "rocksdb"))
        if (entry.path().extension() == ".log") fs::resize_file(entry.path(), 3);
    EXPECT_EQ(restore_backup(target, restored).error().code, Errc::corruption);
    EXPECT_FALSE(fs::exists(restored / "rocksdb"));
    fs::remove(target / "sluice-backup");
    EXPECT_THAT(restore_backup(target, restored).error().what, HasSubstr("not finished"));
}

}  // namespace
}  // namespace storage
