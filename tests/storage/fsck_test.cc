// Each kind of damage planted, found, mended; and what was lost is said.
#include <gmock/gmock.h>
#include <rocksdb/db.h>

#include <array>
#include <fstream>

#include "storage/codec.h"
#include "storage/families.h"
#include "storage/fsck.h"
#include "storage/keys.h"
#include "storage/ledger.h"
#include "storage/records.h"
#include "tests/storage/support/records.h"
#include "tests/storage/support/workload.h"

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

constexpr QueueId queue{1, 1};

class FsckTest : public ::testing::Test {
  protected:
    void SetUp() override {
        auto store = open_or_fail({.data_dir = data()});
        commit_or_fail(*store, first, 1);
        commit_or_fail(*store, second, 2);
        commit_or_fail(*store, finish(first.puts[0]), 3);
        commit_or_fail(*store, defer(first.puts[1], noon + std::chrono::minutes(1)), 4);
        Batch keyed;
        keyed.idempotency.push_back(
            {.tenant = "acme", .key = "k1", .digest = "d", .answer = "a", .expires = noon});
        commit_or_fail(*store, keyed, 5);
        const std::array entries{
            Suppression{.tenant = "acme", .address = "a@x.test", .reason = "asked"},
            Suppression{.tenant = "acme", .address = "b@x.test", .reason = "asked"}};
        ASSERT_TRUE(store->suppress(entries));
    }
    fs::path data() const { return directory.path() / "data"; }

    /// Writes into the database as no store would.
    void plant(
        const std::function<void(rocksdb::DB&, const std::vector<rocksdb::ColumnFamilyHandle*>&)>&
            damage) {
        rocksdb::DB* db = nullptr;
        std::vector<rocksdb::ColumnFamilyHandle*> families;
        auto descriptors = family_descriptors(8 << 20);
        for (auto& one : descriptors) one.options.disable_auto_compactions = true;
        const auto status = rocksdb::DB::Open(
            database_options(8 << 20), (data() / "rocksdb").string(), descriptors, &families, &db);
        ASSERT_TRUE(status.ok()) << status.ToString();
        damage(*db, families);
        for (auto* handle : families) (void)db->DestroyColumnFamilyHandle(handle);
        delete db;
    }
    void put(Family f, const std::string& key, std::string_view value) {
        plant([&](rocksdb::DB& db, const auto& families) {
            (void)db.Put({}, families[static_cast<size_t>(f)], key,
                         rocksdb::Slice(value.data(), value.size()));
        });
    }
    void remove(Family f, const std::string& key) {
        plant([&](rocksdb::DB& db, const auto& families) {
            (void)db.Delete({}, families[static_cast<size_t>(f)], key);
        });
    }

    FsckReport check(bool repair = false) {
        auto report =
            fsck({.data_dir = data(),
                  .repair = repair,
                  .now = noon + std::chrono::hours(1),
                  .domain_of = [](const std::string& to) { return to.substr(to.find('@') + 1); }});
        if (!report) throw std::runtime_error(report.error().what);
        return *report;
    }
    /// Found as `kind` with these words; after a repair nothing is left, and a store agrees.
    FsckReport find_and_mend(Kind kind, const std::string& words) {
        const FsckReport found = check();
        EXPECT_FALSE(found.sound());
        EXPECT_THAT(found.found,
                    Contains(testing::AllOf(testing::Field(&FsckFinding::kind, kind),
                                            testing::Field(&FsckFinding::what, HasSubstr(words)))));
        FsckReport mended = check(true);
        EXPECT_THAT(mended.left, IsEmpty()) << (mended.left.empty() ? "" : mended.left[0].what);
        EXPECT_THAT(mended.done, Not(IsEmpty()));
        EXPECT_TRUE(check().sound());
        auto store = open_or_fail({.data_dir = data()});
        const auto rows = static_cast<uint64_t>(rows_of(*store));
        EXPECT_EQ(store->ledger().at("acme").open(), rows);
        return mended;
    }
    static size_t rows_of(Store& store) {
        size_t rows = 0;
        for (const auto& [id, info] : store.queues().value())
            rows += store.read_queue(id, std::nullopt, SIZE_MAX)->size();
        return rows;
    }
    std::vector<Event::Type> story(DeliveryId id) {
        auto store = open_or_fail({.data_dir = data()});
        std::vector<Event::Type> types;
        for (const Event& event : store->events_of(id, 100).value()) types.push_back(event.type);
        return types;
    }

    TemporaryDirectory directory;
    const Batch first = accept_all(make_job(job_id(1), "small"), 3, queue);
    const Batch second = accept_all(make_job(job_id(2), std::string(40'000, 'b')), 2, {2, 2});
    const DeliveryKey waiting = key_of(first.puts[2]);
};

TEST_F(FsckTest, FindsNothingInASoundStore) {
    const FsckReport report = check();
    EXPECT_THAT(report.found, IsEmpty()) << (report.found.empty() ? "" : report.found[0].what);
    EXPECT_EQ(report.deliveries, 4U);
    EXPECT_EQ(report.jobs, 2U);
    EXPECT_EQ(report.events, 7U);
    EXPECT_EQ(report.contents, 2U);
    EXPECT_EQ(report.idempotency_keys, 1U);
    EXPECT_EQ(report.suppressions, 2U);
    EXPECT_THAT(check(true).left, IsEmpty());
    EXPECT_THAT(check(true).lost, IsEmpty());
}

TEST_F(FsckTest, FindsNothingAfterRandomWork) {
    TemporaryDirectory place;
    Workload workload(3);
    {
        auto store = open_or_fail({.data_dir = place.path() / "data"});
        for (uint64_t i = 1; i < 200; ++i) {
            const auto group = workload.next();
            ASSERT_TRUE(store->commit(group, 0, i).has_value());
            workload.acknowledged(group);
        }
    }
    const auto report = fsck({.data_dir = place.path() / "data"});
    ASSERT_TRUE(report.has_value());
    for (const auto& finding : report->found) EXPECT_EQ(finding.kind, Kind::orphan) << finding.what;
    EXPECT_EQ(report->deliveries, workload.image().rows.size());
}

TEST_F(FsckTest, RefusesAStoreInUse) {
    auto store = open_or_fail({.data_dir = data()});
    const auto refused = fsck({.data_dir = data()});
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, Errc::locked);
}

TEST_F(FsckTest, EndsADeliveryWhoseRowIsGone) {
    remove(Family::delivery, delivery_key(waiting));
    const auto mended = find_and_mend(Kind::delivery, "counts 2 open deliveries and 1 are there");
    EXPECT_THAT(mended.lost, Contains(HasSubstr("user2@x.test")));
    EXPECT_EQ(story(waiting.id), (std::vector{Event::Type::accepted, Event::Type::bounced}));
}

TEST_F(FsckTest, EndsADeliveryWhoseRowDoesNotDecode) {
    put(Family::delivery, delivery_key(waiting), "nonsense");
    find_and_mend(Kind::record, "family delivery");
    EXPECT_EQ(story(waiting.id), (std::vector{Event::Type::accepted, Event::Type::bounced}));
}

TEST_F(FsckTest, RemovesADeliveryThatHasEndedAndStillWaits) {
    Writer value;
    write_delivery(value, first.puts[0], {1, 0, 1});
    put(Family::delivery, delivery_key(key_of(first.puts[0])), value.bytes());
    const auto mended = find_and_mend(Kind::delivery, "has ended and still waits");
    EXPECT_THAT(mended.lost, IsEmpty());
    EXPECT_EQ(story(first.puts[0].id),
              (std::vector{Event::Type::accepted, Event::Type::delivered}));
}

TEST_F(FsckTest, RemovesTheSecondRowOfADelivery) {
    Delivery twin = first.puts[2];
    twin.due += std::chrono::seconds(9);
    Writer value;
    write_delivery(value, twin, {1, 0, 1});
    put(Family::delivery, delivery_key(key_of(twin)), value.bytes());
    EXPECT_THAT(find_and_mend(Kind::delivery, "waits twice").lost, IsEmpty());
    EXPECT_EQ(check().deliveries, 4U);
}

TEST_F(FsckTest, WritesARowOfAQueueAnew) {
    remove(Family::queue, queue_key(queue));
    EXPECT_THAT(find_and_mend(Kind::queue, "no row that fits").lost, IsEmpty());
    auto store = open_or_fail({.data_dir = data()});
    const auto queues = store->queues().value();
    EXPECT_THAT(queues,
                Contains(std::pair(queue, QueueInfo{"acme", "nov", Class::bulk, "x.test"})));
}

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

void turn_a_bit_of(const fs::path& path, uint64_t at) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(at));
    const auto turned = static_cast<char>(file.get() ^ 4);
    file.seekp(static_cast<std::streamoff>(at));
    file.put(turned);
    file.close();
    ASSERT_TRUE(file) << path;
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

TEST_F(FsckTest, CountsStartsOnFromTheLatestThatARecordIsOf) {
    commit_or_fail(*open_or_fail({.data_dir = data()}), accept_all(make_job(job_id(8)), 1, queue),
                   6);
    const uint32_t before = open_or_fail({.data_dir = data()})->boot();
    remove(Family::meta, std::string(meta_boot));
    EXPECT_THAT(find_and_mend(Kind::record, "starts are counted").lost, IsEmpty());
    EXPECT_GE(open_or_fail({.data_dir = data()})->boot(), before);
}

TEST_F(FsckTest, KeepsWhatWaitsWhicheverOctetOfWhatIsCountedIsWrong) {
    mend_each_octet(data(), Family::meta);
}

TEST_F(FsckTest, WritesARowOfAJobAnew) {
    remove(Family::job, number_key(static_cast<uint64_t>(job_id(1))));
    EXPECT_THAT(find_and_mend(Kind::job, "no row").lost, IsEmpty());
    auto store = open_or_fail({.data_dir = data()});
    const auto status = store->job(job_id(1)).value();
    ASSERT_TRUE(status.has_value());
    EXPECT_EQ(status->counts.accepted, 3U);
    EXPECT_EQ(status->counts.delivered, 1U);
    EXPECT_EQ(status->job.tenant, "acme");
}

TEST_F(FsckTest, EndsDeliveriesWhoseContentIsGone) {
    for (const bool large : {false, true}) {
        const JobId id = large ? job_id(2) : job_id(1);
        remove(Family::content, large ? large_content_key(id) : content_key(id));
        const auto mended = find_and_mend(Kind::content, "is missing");
        EXPECT_THAT(mended.lost, SizeIs(2));
    }
    auto store = open_or_fail({.data_dir = data()});
    EXPECT_EQ(store->ledger().at("acme").open(), 0U);
    EXPECT_EQ(store->ledger().at("acme").accepted, 5U);
}

TEST_F(FsckTest, CountsAJobAnew) {
    plant([&](rocksdb::DB& db, const auto& families) {
        JobRow row;
        row.tally.counts.bounced = 1;
        row.tally.counts.accepted = 1;
        Writer value;
        row.write(value);
        (void)db.Merge({}, families[static_cast<size_t>(Family::job)],
                       number_key(static_cast<uint64_t>(job_id(1))),
                       rocksdb::Slice(value.bytes().data(), value.bytes().size()));
    });
    EXPECT_THAT(find_and_mend(Kind::job, "its events say").lost, IsEmpty());
}

TEST_F(FsckTest, CountsATenantAnew) {
    Writer value;
    TenantRow{{.accepted = 9}}.write(value);
    put(Family::meta, std::string(meta_ledger) + "acme", value.bytes());
    EXPECT_THAT(find_and_mend(Kind::ledger, "tenant acme").lost, IsEmpty());
}

TEST_F(FsckTest, DropsAnEventThatDoesNotDecode) {
    put(Family::event, number_key(2), "nonsense");
    const auto mended = find_and_mend(Kind::record, "family event");
    EXPECT_THAT(mended.lost, Contains(HasSubstr("family event")));
    auto store = open_or_fail({.data_dir = data()});
    EXPECT_EQ(store->ledger().at("acme").open(), 4U) << "a delivery is not lost with its event";
}

TEST_F(FsckTest, DoesNotEndADeliveryOnceMoreWhoseEndIsLost) {
    put(Family::event, number_key(6), "\xff");  // that the first one was delivered
    find_and_mend(Kind::record, "family event");
    EXPECT_THAT(story(first.puts[0].id), ElementsAre(Event::Type::accepted));
    auto store = open_or_fail({.data_dir = data()});
    EXPECT_EQ(store->ledger().at("acme").accepted, 5U);
    EXPECT_EQ(store->ledger().at("acme").delivered, 1U);
    EXPECT_EQ(store->ledger().at("acme").bounced, 0U);
}

TEST_F(FsckTest, GivesAnIdempotencyKeyItsEndBack) {
    remove(Family::idempotency,
           idempotency_expiry_key({.tenant = "acme", .key = "k1", .expires = noon}));
    find_and_mend(Kind::idempotency, "never expires");
}

TEST_F(FsckTest, KeepsASuppressedAddressWhoseReasonDoesNotDecode) {
    put(Family::suppression, suppression_key("acme", "a@x.test"), "\xff");
    const FsckReport report = find_and_mend(Kind::record, "a@x.test of tenant acme");
    EXPECT_THAT(report.lost, IsEmpty());
    auto store = open_or_fail({.data_dir = data()});
    const std::vector<std::string> both{"a@x.test", "b@x.test"};
    EXPECT_THAT(store->suppressed("acme", both).value(), ElementsAre(true, true));
    EXPECT_EQ(store->suppression("acme", "a@x.test").value()->source, "fsck");
    EXPECT_EQ(store->suppression("acme", "b@x.test").value()->reason, "asked");
}

TEST_F(FsckTest, LooksThroughAStoreOfAVersionWithoutSuppressionLists) {
    plant([](rocksdb::DB& db, const auto& families) {
        ASSERT_TRUE(db.DropColumnFamily(families[static_cast<size_t>(Family::suppression)]).ok());
    });
    const FsckReport report = check();
    EXPECT_THAT(report.found, IsEmpty());
    EXPECT_EQ(report.deliveries, 4U);
    EXPECT_EQ(report.suppressions, 0U);
}

TEST_F(FsckTest, CallsAnOrphanNoDamage) {
    put(Family::content, content_key(job_id(77)), std::string("\x01\x00lost", 6));
    put(Family::content, large_content_key(job_id(78)), "large");
    const FsckReport report = check();
    EXPECT_THAT(report.found, SizeIs(2));
    EXPECT_TRUE(report.sound());
    EXPECT_THAT(check(true).left, IsEmpty());
}

TEST_F(FsckTest, TurnsABitOfTheLogBack) {
    fs::path log;
    for (const auto& entry : fs::directory_iterator(data() / "rocksdb"))
        if (entry.path().extension() == ".log" && entry.file_size() > 0) log = entry.path();
    turn_a_bit_of(log, fs::file_size(log) - 9);
    EXPECT_THAT(find_and_mend(Kind::file, log.filename().string()).lost, IsEmpty());
    EXPECT_EQ(check().deliveries, 4U);
}

TEST_F(FsckTest, NamesTheManifestThatCurrentHasForgotten) {
    std::ofstream(data() / "rocksdb/CURRENT") << "MANIFEST-999999\n";
    EXPECT_THAT(find_and_mend(Kind::file, "CURRENT").lost, IsEmpty());
    EXPECT_EQ(check().deliveries, 4U);
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
