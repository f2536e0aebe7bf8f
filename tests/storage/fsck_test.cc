// Each kind of damaged record planted, found, mended; and what was lost is said.
#include "storage/codec.h"
#include "storage/records.h"
#include "tests/storage/support/damaged_store.h"

namespace storage {
namespace {

using namespace storage::tests;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Kind = FsckFinding::Kind;
namespace fs = std::filesystem;

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

TEST_F(FsckTest, CountsStartsOnFromTheLatestThatARecordIsOf) {
    commit_or_fail(*open_or_fail({.data_dir = data()}), accept_all(make_job(job_id(8)), 1, queue),
                   6);
    const uint32_t before = open_or_fail({.data_dir = data()})->boot();
    remove(Family::meta, std::string(meta_boot));
    EXPECT_THAT(find_and_mend(Kind::record, "starts are counted").lost, IsEmpty());
    EXPECT_GE(open_or_fail({.data_dir = data()})->boot(), before);
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

}  // namespace
}  // namespace storage
