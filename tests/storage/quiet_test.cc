// A store that nobody writes to: what memtables hold goes into tables, and their memory back.
#include <algorithm>
#include <chrono>
#include <thread>

#include "storage/store.h"
#include "tests/storage/support/records.h"

namespace storage {
namespace {

using namespace storage::tests;
using std::chrono::seconds;

class QuietStore : public ::testing::Test {
  protected:
    /// Enough to be worth a table.
    void commit_some() {
        const Job job = make_job(job_id(++last), std::string(3'000'000, 'c'));
        commit_or_fail(*store, accept(job, 1), last);
    }
    ptrdiff_t tables() {
        const auto is_table = [](const auto& file) { return file.path().extension() == ".sst"; };
        const auto files = std::filesystem::recursive_directory_iterator(data);
        return std::count_if(begin(files), end(files), is_table);
    }
    /// A flush in the background needs its moment; who ends the store before it has begun ends it,
    /// too.
    bool has_tables_soon() {
        for (int look = 0; look < 1000 && tables() == 0; ++look)
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        return tables() > 0;
    }

    TemporaryDirectory directory;
    std::filesystem::path data = directory.path() / "data";
    uint16_t last = 0;
    std::unique_ptr<Store> store = open_or_fail({.data_dir = data});
};

TEST_F(QuietStore, PutsIntoTablesWhatItHoldsInMemory) {
    commit_some();
    store->give_back_memory(noon);
    store->give_back_memory(noon + seconds(10));
    EXPECT_TRUE(has_tables_soon());
    EXPECT_EQ(store->content(job_id(1)).value()->size(), 3'000'000U);
}

TEST_F(QuietStore, KeepsInMemoryWhatIsStillWrittenTo) {
    for (int second = 0; second < 30; second += 5) {
        commit_some();
        store->give_back_memory(noon + seconds(second));
    }
    EXPECT_EQ(tables(), 0);
}

TEST_F(QuietStore, MakesNoTableOfALittle) {
    commit_or_fail(*store, accept(make_job(job_id(1)), 1), 1);
    store->give_back_memory(noon);
    store->give_back_memory(noon + seconds(10));
    EXPECT_EQ(tables(), 0);
}

}  // namespace
}  // namespace storage
