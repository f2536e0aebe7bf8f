// The write-ahead log on another disk: it follows the setting, and a log that is not where it was
// is never taken for an empty one.
#include <gmock/gmock.h>

#include "storage/store.h"
#include "tests/storage/support/records.h"

namespace storage {
namespace {

using namespace storage::tests;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

class LogPlaceTest : public ::testing::Test {
  protected:
    Result<std::unique_ptr<Store>> open(const fs::path& log_dir) {
        return Store::open({.data_dir = data, .log_dir = log_dir});
    }
    /// Accepts one mail more in a store whose log lies there, and leaves it in the log alone.
    void accept_one(const fs::path& log_dir) {
        auto store = open(log_dir);
        ASSERT_TRUE(store.has_value()) << store.error().what;
        EXPECT_EQ((*store)->read_queue({1, 1}, std::nullopt, 99)->size(), accepted)
            << "nothing is lost on the way";
        commit_or_fail(**store, accept_all(make_job(job_id(++accepted)), 1), 1);
    }
    void expect_refused(const fs::path& log_dir, const std::string& words) {
        const auto refused = open(log_dir);
        ASSERT_FALSE(refused.has_value());
        EXPECT_EQ(refused.error().code, Errc::invalid);
        EXPECT_THAT(refused.error().what, HasSubstr(words));
    }
    static size_t logs_in(const fs::path& path) {
        size_t count = 0;
        for (const auto& entry : fs::directory_iterator(path))
            count += entry.path().extension() == ".log";
        return count;
    }

    TemporaryDirectory directory;
    const fs::path data = directory.path() / "data", a = directory.path() / "a",
                   b = directory.path() / "b";
    uint16_t accepted = 0;
};

TEST_F(LogPlaceTest, LiesWhereTheSettingSays) {
    accept_one(a);
    accept_one(a);
    EXPECT_EQ(logs_in(a / "rocksdb-log"), 1U);
    EXPECT_EQ(logs_in(data / "rocksdb"), 0U);
}

TEST_F(LogPlaceTest, FollowsTheSetting) {
    for (const fs::path& place : {fs::path(), a, b, a, fs::path(), fs::path(), b})
        accept_one(place);
    EXPECT_EQ(logs_in(b / "rocksdb-log"), 1U);
    EXPECT_EQ(logs_in(a / "rocksdb-log"), 0U);
    EXPECT_EQ(logs_in(data / "rocksdb"), 0U);
}

TEST_F(LogPlaceTest, MayBeMovedByHand) {
    accept_one(a);
    fs::create_directory(b);
    fs::rename(a / "rocksdb-log", b / "rocksdb-log");
    expect_refused(a, "was last in " + (a / "rocksdb-log").string());
    accept_one(b);
    accept_one(b);
}

TEST_F(LogPlaceTest, IsMissedWhenItsDiskIsNotMounted) {
    accept_one(a);
    fs::rename(a, directory.path() / "unmounted");
    expect_refused(a, "mount that disk");
    fs::create_directory(a);  // the mount point alone
    expect_refused(a, "mount that disk");
    expect_refused({}, "mount that disk");
    expect_refused(b, "mount that disk");
    fs::remove(a);
    fs::rename(directory.path() / "unmounted", a);
    accept_one(a);
}

TEST_F(LogPlaceTest, IsNotGuessedBetweenTwoCopies) {
    accept_one(a);
    fs::copy(a, b, fs::copy_options::recursive);
    expect_refused(b, "both in");
    accept_one(a);
}

TEST_F(LogPlaceTest, IsNotSharedByTwoQueues) {
    accept_one(a);
    const auto refused = Store::open({.data_dir = directory.path() / "other", .log_dir = a});
    ASSERT_FALSE(refused.has_value());
    EXPECT_THAT(refused.error().what, HasSubstr("holds the write-ahead log of " + data.string()));
}

TEST_F(LogPlaceTest, OfAQueueThatWasReplacedIsNotWrittenOver) {
    accept_one(a);
    fs::rename(data, directory.path() / "old");  // as before a restore
    accepted = 0;
    accept_one({});
    expect_refused(a, "before this one");
}

TEST_F(LogPlaceTest, IsNotMadeBelowADirectoryThatIsMissing) {
    const auto refused = open(directory.path() / "no" / "such");
    ASSERT_FALSE(refused.has_value());
    EXPECT_THAT(refused.error().what, HasSubstr("check the path"));
}

TEST_F(LogPlaceTest, IsCheckedForDamageThere) {
    accept_one(a);
    accept_one(a);
    for (const auto& entry : fs::directory_iterator(a / "rocksdb-log"))
        if (entry.path().extension() == ".log")
            fs::resize_file(entry.path(), fs::file_size(entry.path()) - 3);
    const auto opened = open(a);  // a torn tail is no damage
    ASSERT_TRUE(opened.has_value()) << opened.error().what;
    EXPECT_EQ((*opened)->read_queue({1, 1}, std::nullopt, 99)->size(), 1U);
}

}  // namespace
}  // namespace storage
