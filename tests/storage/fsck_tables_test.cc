// Tables and blocks that cannot be read: fsck goes on without them, and says what that costs.
#include "tests/storage/support/damaged_store.h"

namespace storage {
namespace {

using namespace storage::tests;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using Kind = FsckFinding::Kind;
namespace fs = std::filesystem;

/// Tables of a family, the oldest first, when the log has been written into tables.
std::vector<fs::path> tables_of(const fs::path& data, Family family) {
    (void)open_or_fail({.data_dir = data});
    rocksdb::DB* opened = nullptr;
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    auto families = family_descriptors(8 << 20);
    const auto status = rocksdb::DB::OpenForReadOnly(
        database_options(8 << 20), (data / "rocksdb").string(), families, &handles, &opened);
    if (!status.ok()) throw std::runtime_error(status.ToString());
    const std::unique_ptr<rocksdb::DB> db(opened);
    rocksdb::ColumnFamilyMetaData tables;
    db->GetColumnFamilyMetaData(handles[static_cast<size_t>(family)], &tables);
    std::vector<fs::path> found;
    for (const auto& level : tables.levels)
        for (const auto& file : level.files)
            found.push_back(data / "rocksdb" / file.relative_filename);
    for (auto* handle : handles) (void)db->DestroyColumnFamilyHandle(handle);
    std::ranges::sort(found);
    return found;
}

/// Whatever octet of the family's table is wrong, its last among them: afterwards nothing is left
/// to mend, and all that waited still does.
void mend_each_octet(const fs::path& data, Family family) {
    const auto tables = tables_of(data, family);
    ASSERT_THAT(tables, SizeIs(1));
    const uint64_t bytes = fs::file_size(tables[0]), places = 12;
    for (uint64_t i = 1; i <= places; ++i) {
        TemporaryDirectory copy;
        fs::copy(data, copy.path() / "data", fs::copy_options::recursive);
        const uint64_t at = bytes * i / places - 1;
        SCOPED_TRACE(at);
        turn_a_bit_of(copy.path() / "data/rocksdb" / tables[0].filename(), at);
        const auto report = fsck({.data_dir = copy.path() / "data",
                                  .repair = true,
                                  .now = noon + std::chrono::hours(1)});
        ASSERT_TRUE(report.has_value()) << report.error().what;
        EXPECT_THAT(report->left, IsEmpty()) << report->left[0].what;
        auto store = open_or_fail({.data_dir = copy.path() / "data"});
        size_t rows = 0;
        for (const auto& [id, info] : store->queues().value())
            rows += store->read_queue(id, std::nullopt, SIZE_MAX)->size();
        EXPECT_EQ(rows, 4U);
        EXPECT_EQ(store->ledger().at("acme").open(), 4U);
        EXPECT_EQ(store->ledger().at("acme").accepted, family == Family::meta ? 4U : 5U);
        EXPECT_GT(store->boot(), 1U) << "rows of start 1 would be taken for this one's";
        EXPECT_EQ(store->job(job_id(1)).value()->counts.accepted, 3U);
    }
}

TEST_F(FsckTest, WritesRowsOfQueuesAnewWhicheverOctetOfTheirTableIsWrong) {
    mend_each_octet(data(), Family::queue);
}

TEST_F(FsckTest, KeepsWhatWaitsWhicheverOctetOfTheEventsIsWrong) {
    mend_each_octet(data(), Family::event);
}

TEST_F(FsckTest, GivesNoNumberOfALostEventAgain) {
    const auto tables = tables_of(data(), Family::event);
    ASSERT_THAT(tables, SizeIs(1));
    turn_a_bit_of(tables[0], fs::file_size(tables[0]) - 1);
    const auto mended = check(true);
    EXPECT_THAT(mended.left, IsEmpty());
    EXPECT_THAT(mended.lost, ElementsAre(HasSubstr("family event")));
    for (int restarts = 0; restarts < 2; ++restarts) {
        auto store = open_or_fail({.data_dir = data()});
        EXPECT_GE(store->last_event(), 7U);
    }
    auto store = open_or_fail({.data_dir = data()});
    commit_or_fail(*store, finish(first.puts[2]), 6);
    EXPECT_THAT(store->events(7, 100).value(), SizeIs(1)) << "a reader whose cursor is at 7";
    store.reset();
    EXPECT_TRUE(check().sound());
}

// Level 0 has both tables: one that cannot be opened keeps RocksDB from reading the other.
TEST_F(FsckTest, KeepsLargeContentsOfOtherTablesThanTheOneThatCannotBeOpened) {
    const JobId id = job_id(3);
    commit_or_fail(*open_or_fail({.data_dir = data()}),
                   accept_all(make_job(id, std::string(50'000, 'c')), 2, {2, 2}), 6);
    plant([&](rocksdb::DB& db, const auto& families) {
        auto* contents = families[static_cast<size_t>(Family::content)];
        (void)db.Flush({}, contents);
        rocksdb::ColumnFamilyMetaData before;
        db.GetColumnFamilyMetaData(contents, &before);
        for (const std::string& key : {content_key(id), large_content_key(id)}) {
            std::string value;
            ASSERT_TRUE(db.Get({}, contents, key, &value).ok());
            (void)db.Put({}, contents, key, value);
        }
        (void)db.Flush({}, contents);
        for (const auto& level : before.levels)
            for (const auto& table : level.files)
                fs::resize_file(table.directory + "/" + table.relative_filename, table.size / 2);
    });
    const auto lost = find_and_mend(Kind::file, "cannot be opened").lost;
    EXPECT_THAT(lost, Contains(HasSubstr("delivery")).Times(4)) << "of jobs 1 and 2";
    EXPECT_THAT(lost, Contains(HasSubstr("family content")));
    auto store = open_or_fail({.data_dir = data()});
    EXPECT_EQ(store->job(id).value()->counts.open(), 2U);
    EXPECT_THAT(store->content(id).value(), ::testing::Optional(SizeIs(50'000)));
    EXPECT_EQ(store->job(job_id(2)).value()->counts.open(), 0U);
}

/// The place in a table of the top bit of the count that its properties end with.
uint64_t count_of_properties(const fs::path& table) {
    std::ifstream in(table, std::ios::binary);
    const std::string text(std::istreambuf_iterator<char>(in), {});
    constexpr std::string_view name = "rocksdb.properties";
    size_t at = text.rfind(name) + name.size();  // in the index of blocks beside the data
    const auto varint = [&] {
        uint64_t value = 0;
        for (unsigned shift = 0;; shift += 7) {
            const auto octet = static_cast<uint8_t>(text.at(at++));
            value |= uint64_t{octet & 0x7fU} << shift;
            if (octet < 0x80) return value;
        }
    };
    const uint64_t begin = varint();
    return begin + varint() - 1;
}

// RocksDB would end this process, too.
TEST_F(FsckTest, GoesOnWithoutATableAtWhichRocksDbEndsItsProcess) {
    const auto tables = tables_of(data(), Family::event);
    ASSERT_THAT(tables, SizeIs(1));
    turn_a_bit_of(tables[0], count_of_properties(tables[0]), 0x80);
    const FsckReport found = check();
    EXPECT_THAT(found.found, SizeIs(1));
    EXPECT_THAT(found.found.at(0).what, HasSubstr(tables[0].filename().string()));
    const FsckReport mended = check(true);
    EXPECT_THAT(mended.found.at(0).what, HasSubstr("ends the process that opens it"));
    EXPECT_THAT(mended.left, IsEmpty());
    EXPECT_THAT(mended.lost, ElementsAre(HasSubstr("family event")));
    EXPECT_TRUE(check().sound());
    auto store = open_or_fail({.data_dir = data()});
    EXPECT_EQ(store->ledger().at("acme").open(), 4U);
}

TEST_F(FsckTest, EndsDeliveriesWhoseBlobFileIsGone) {
    ASSERT_THAT(tables_of(data(), Family::content), Not(IsEmpty()));
    for (const auto& entry : fs::directory_iterator(data() / "rocksdb"))
        if (entry.path().extension() == ".blob") fs::remove(entry.path());
    EXPECT_FALSE(check().sound());
    const auto mended = check(true);
    EXPECT_THAT(mended.left, IsEmpty());
    EXPECT_THAT(mended.lost, Contains(HasSubstr("delivery")).Times(2)) << "of job 2";
    auto store = open_or_fail({.data_dir = data()});
    EXPECT_EQ(store->ledger().at("acme").open(), 2U);
    EXPECT_EQ(store->ledger().at("acme").accepted, 5U);
}

TEST_F(FsckTest, GoesOnWithoutTablesOfAllFamilies) {
    ASSERT_THAT(tables_of(data(), Family::delivery), Not(IsEmpty()));
    size_t tables = 0;
    for (const auto& entry : fs::directory_iterator(data() / "rocksdb")) {
        if (entry.path().extension() != ".sst") continue;
        if (++tables % 2 == 0)
            fs::remove(entry.path());
        else
            turn_a_bit_of(entry.path(), entry.file_size() - 1);
    }
    EXPECT_GE(tables, family_count);
    EXPECT_FALSE(check().sound());
    EXPECT_THAT(check(true).left, IsEmpty());
    EXPECT_TRUE(check().sound());
    auto store = open_or_fail({.data_dir = data()});
    commit_or_fail(*store, accept_all(make_job(job_id(9), "new"), 3, queue), 9);
    EXPECT_EQ(store->ledger().at("acme").open(), 3U);
}

TEST_F(FsckTest, KeepsWhatWaitsWhicheverOctetOfWhatIsCountedIsWrong) {
    mend_each_octet(data(), Family::meta);
}

/// A campaign large enough for many blocks, with one of them damaged.
class DamagedBlock : public FsckTest, public ::testing::WithParamInterface<Family> {
  protected:
    static constexpr uint32_t recipients = 3000;
    fs::path table_of(Family family) {
        fs::path found;
        plant([&](rocksdb::DB& db, const auto& families) {
            rocksdb::ColumnFamilyMetaData data;
            db.GetColumnFamilyMetaData(families[static_cast<size_t>(family)], &data);
            size_t most = 0;
            for (const auto& level : data.levels)
                for (const auto& file : level.files)
                    if (file.size > most) {
                        most = file.size;
                        found = file.db_path + file.name;
                    }
        });
        return found;
    }
    void SetUp() override {
        auto store = open_or_fail({.data_dir = data()});
        std::mt19937 random(1);
        uint64_t group = 0;
        Batch batch = accept_all(make_job(job_id(5)), recipients, queue);
        for (Delivery& delivery : batch.puts)
            for (int i = 0; i < 60; ++i) delivery.vars.push_back(static_cast<char>(random()));
        for (Event& event : batch.events)
            for (int i = 0; i < 60; ++i) event.meta.push_back(static_cast<char>(random()));
        commit_or_fail(*store, batch, ++group);
        store.reset();
        store = open_or_fail({.data_dir = data()});  // writes the log into tables
    }
};

TEST_P(DamagedBlock, CostsWhatStoodInItAndNoMore) {
    const fs::path table = table_of(GetParam());
    turn_a_bit_of(table, fs::file_size(table) / 2);
    const FsckReport mended = find_and_mend(Kind::unreadable, table.filename().string());
    EXPECT_THAT(mended.lost, Not(IsEmpty()));
    auto store = open_or_fail({.data_dir = data()});
    const size_t rows = rows_of(*store);
    const JobCounts counts = store->ledger().at("acme");
    EXPECT_EQ(counts.accepted, recipients);
    EXPECT_EQ(counts.open(), rows);
    if (GetParam() == Family::delivery) {
        EXPECT_GT(rows, recipients - 400U);
        EXPECT_LT(rows, recipients);
        EXPECT_EQ(counts.bounced, recipients - rows);
    } else {
        EXPECT_EQ(rows, recipients) << "nothing is lost but events";
        EXPECT_GT(store->events(0, SIZE_MAX)->size(), recipients - 400U);
    }
}

INSTANTIATE_TEST_SUITE_P(OfAFamily, DamagedBlock,
                         ::testing::Values(Family::delivery, Family::event));

}  // namespace
}  // namespace storage
