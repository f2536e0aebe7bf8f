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
        const auto status =
            rocksdb::DB::Open(database_options(8 << 20), (data() / "rocksdb").string(),
                              family_descriptors(8 << 20), &families, &db);
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

void turn(const fs::path& path, std::streamoff at) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(at);
    const auto turned = static_cast<char>(file.get() ^ 4);
    file.seekp(at);
    file.put(turned);
}

TEST_F(FsckTest, TurnsABitOfTheLogBack) {
    fs::path log;
    for (const auto& entry : fs::directory_iterator(data() / "rocksdb"))
        if (entry.path().extension() == ".log" && entry.file_size() > 0) log = entry.path();
    turn(log, static_cast<std::streamoff>(fs::file_size(log)) - 9);
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
    turn(table, static_cast<std::streamoff>(fs::file_size(table) / 2));
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
