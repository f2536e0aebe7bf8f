// What every user of the store relies on: batches are whole, counts are exact, and a restart
// changes nothing.
#include "storage/store.h"

#include <gmock/gmock.h>

#include "tests/storage/support/records.h"

namespace storage {
namespace {

using namespace storage::tests;
using std::chrono::milliseconds;

class StoreTest : public ::testing::Test {
  protected:
    void reopen() {
        store.reset();
        store = open_or_fail({.data_dir = directory.path() / "data"});
    }
    Committed commit(const Batch& batch) { return commit_or_fail(*store, batch, ++group); }

    TemporaryDirectory directory;
    uint64_t group = 0;
    std::unique_ptr<Store> store = open_or_fail({.data_dir = directory.path() / "data"});
};

TEST_F(StoreTest, GivesBackWhatWasCommittedAfterAReopen) {
    const Job job = make_job(job_id(1));
    Batch batch = accept_all(job, 3);
    batch.puts[1].vars = std::string("\0\xff", 2);
    commit(batch);
    reopen();
    const auto rows = store->read_queue({1, 1}, std::nullopt, 10);
    ASSERT_TRUE(rows.has_value());
    ASSERT_EQ(rows->size(), 3U);
    EXPECT_EQ((*rows)[1].vars, std::string("\0\xff", 2));
    EXPECT_EQ((*rows)[2].recipient, "user2@x.test");
    EXPECT_EQ((*rows)[2].expires, batch.puts[2].expires);
    EXPECT_EQ(store->content(job.id).value(), "content");
    EXPECT_EQ(store->job(job.id).value()->job.sender, "bounce@news.example.com");
    EXPECT_EQ(store->last_job(), job.id);
    EXPECT_EQ(store->boot(), 2U);
}

TEST_F(StoreTest, KeepsWhatASubmitterAskedForOverAReopen) {
    Job job = make_job(job_id(1));
    job.envid = "QQ314159";
    job.ret = DsnReturn::full;
    job.reports = true;
    job.tls = TlsRequest::required;
    commit(accept(job, 1));
    reopen();
    const Job kept = store->job(job.id).value()->job;
    EXPECT_EQ(kept.envid, "QQ314159");
    EXPECT_EQ(kept.ret, DsnReturn::full);
    EXPECT_TRUE(kept.reports);
    EXPECT_EQ(kept.tls, TlsRequest::required);
}

TEST_F(StoreTest, KeepsNotesByKindAndNameOverAReopen) {
    const std::vector<Note> kept = {
        {"a/1", "one"}, {"a/2", std::string("\0\xff", 2)}, {"b/1", "x"}};
    ASSERT_TRUE(store->put_notes("sts", kept));
    ASSERT_TRUE(store->put_notes("stsx", std::vector<Note>{{"a/3", "of another kind"}}));
    reopen();
    EXPECT_EQ(store->notes("sts", "", 10).value(), kept);
    EXPECT_EQ(store->notes("sts", "a/", 10).value(), std::vector<Note>({kept[0], kept[1]}));
    EXPECT_EQ(store->notes("sts", "a/", 1).value(), std::vector<Note>({kept[0]}));
    ASSERT_TRUE(store->put_notes("sts", std::vector<Note>{{"a/1", ""}, {"b/1", "y"}}));
    EXPECT_EQ(store->notes("sts", "", 10).value(), std::vector<Note>({kept[1], {"b/1", "y"}}));
    EXPECT_TRUE(store->ledger().empty()) << "notes are no tenants";
}

TEST_F(StoreTest, MarksNewDeliveriesWithTheirCommit) {
    const Job job = make_job(job_id(1));
    const Batch first = accept_all(job, 1);
    ASSERT_TRUE(store->commit({&first, 1}, 3, 77).has_value());
    Delivery row = store->read_queue({1, 1}, std::nullopt, 1)->at(0);
    EXPECT_EQ(row.mark.boot, 1U);
    EXPECT_EQ(row.mark.shard, 3U);
    EXPECT_EQ(row.mark.group, 77U);
    const Batch later = defer(row, noon + milliseconds(5));
    ASSERT_TRUE(store->commit({&later, 1}, 1, 5).has_value());
    row = store->read_queue({1, 1}, std::nullopt, 1)->at(0);
    EXPECT_EQ(row.attempts, 1U);
    EXPECT_EQ(row.mark.group, 77U) << "a deferral must keep the mark of its acceptance";
}

TEST_F(StoreTest, ReadsAQueueInDueOrderBehindAKey) {
    Batch batch = accept_all(make_job(job_id(1)), 4);
    batch.puts[0].due = noon + milliseconds(30);
    batch.puts[1].due = noon + milliseconds(10);
    batch.puts[2].due = noon + milliseconds(20);
    batch.puts[3].queue = {1, 2};  // the next queue must not leak into this one
    commit(batch);
    const auto first = store->read_queue({1, 1}, std::nullopt, 2).value();
    ASSERT_EQ(first.size(), 2U);
    EXPECT_EQ(first[0].id.index, 1U);
    EXPECT_EQ(first[1].id.index, 2U);
    const auto rest = store->read_queue({1, 1}, key_of(first[1]), 10).value();
    ASSERT_EQ(rest.size(), 1U);
    EXPECT_EQ(rest[0].id.index, 0U);
    EXPECT_EQ(store->count_queue({1, 1}).value(), 3U);
}

TEST_F(StoreTest, KeepsTheLedgerOfTenantsAndJobsFromTheEvents) {
    const Job acme = make_job(job_id(1), "a", "acme");
    const Job other = make_job(job_id(2), "b", "other");
    const Batch mine = accept_all(acme, 5);
    commit(mine);
    commit(accept_all(other, 2, {2, 2}));
    commit(finish(mine.puts[0], Event::Type::delivered));
    commit(finish(mine.puts[1], Event::Type::bounced));
    commit(finish(mine.puts[2], Event::Type::expired));
    commit(finish(mine.puts[3], Event::Type::cancelled));
    commit(defer(mine.puts[4], noon + milliseconds(1)));
    for (int i = 0; i < 2; ++i, reopen()) {
        const Ledger ledger = store->ledger();
        EXPECT_EQ(ledger.at("acme").accepted, 5U);
        EXPECT_EQ(ledger.at("acme").delivered, 1U);
        EXPECT_EQ(ledger.at("acme").bounced, 1U);
        EXPECT_EQ(ledger.at("acme").expired, 1U);
        EXPECT_EQ(ledger.at("acme").cancelled, 1U);
        EXPECT_EQ(ledger.at("acme").deferrals, 1U);
        EXPECT_EQ(ledger.at("acme").open(), 1U);
        EXPECT_EQ(ledger.at("other").open(), 2U);
        EXPECT_EQ(store->job(acme.id).value()->counts.open(), 1U);
        EXPECT_FALSE(store->job(acme.id).value()->finished.has_value());
    }
}

TEST_F(StoreTest, SaysWhenAJobFinished) {
    const Batch batch = accept_all(make_job(job_id(1)), 2);
    commit(batch);
    commit(finish(batch.puts[1], Event::Type::delivered, noon + milliseconds(9)));
    commit(finish(batch.puts[0], Event::Type::delivered, noon + milliseconds(5)));
    const auto status = store->job(job_id(1)).value();
    ASSERT_TRUE(status.has_value());
    EXPECT_TRUE(status->complete);
    EXPECT_EQ(status->finished, noon + milliseconds(9));
}

TEST_F(StoreTest, CountsAJobWhoseIngestWasCutAsCompleteAfterARestart) {
    commit(accept(make_job(job_id(1)), 1));
    EXPECT_FALSE(store->job(job_id(1)).value()->complete);
    reopen();
    EXPECT_TRUE(store->job(job_id(1)).value()->complete);
}

TEST_F(StoreTest, RefusesAKeyTwiceInOneGroup) {
    const Batch batch = accept_all(make_job(job_id(1)), 1);
    commit(batch);
    const Batch same_due = defer(batch.puts[0], batch.puts[0].due);
    const auto refused = store->commit({&same_due, 1}, 0, 2);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, Errc::invalid);
    EXPECT_TRUE(store->healthy());
    EXPECT_EQ(store->ledger().at("acme").deferrals, 0U);
}

TEST_F(StoreTest, DropsTheRowsOfQueuesThatAreEmptyAndOfNoOther) {
    const Batch one = accept_all(make_job(job_id(1)), 1, {1, 1});
    commit(one);
    commit(accept_all(make_job(job_id(2)), 1, {1, 2}));
    commit(accept_all(make_job(job_id(3)), 12, {3, 0}));
    commit(finish(one.puts[0]));
    EXPECT_EQ(store->queues().value().size(), 3U) << "empty ones stay until they are dropped";
    const std::vector<QueueId> asked{{3, 0}, {1, 1}, {9, 9}};
    EXPECT_TRUE(store->drop_queues(asked).value());
    reopen();
    const auto queues = store->queues().value();
    ASSERT_EQ(queues.size(), 2U);
    EXPECT_EQ(queues[0].first, (QueueId{1, 2}));
    EXPECT_EQ(queues[0].second, (QueueInfo{"acme", "nov", Class::bulk, "x.test"}));
    EXPECT_EQ(queues[1].first, (QueueId{3, 0}));
}

TEST_F(StoreTest, CountsDeliveryRowsInTheBackgroundAndThenExactly) {
    const Batch batch = accept_all(make_job(job_id(1)), 100);
    commit(batch);
    reopen();
    commit(finish(batch.puts[7]));
    while (!store->delivery_rows().second) std::this_thread::yield();
    EXPECT_EQ(store->delivery_rows().first, 99);
}

TEST_F(StoreTest, ForgetsAnIdempotencyKeyWhenItExpires) {
    Batch batch;
    batch.idempotency.push_back({"acme", "k1", "digest", "answer", noon + milliseconds(10)});
    commit(batch);
    reopen();
    const auto found = store->idempotency("acme", "k1", noon).value();
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(found->answer, "answer");
    EXPECT_FALSE(store->idempotency("acme", "k1", noon + milliseconds(10)).value().has_value());
    EXPECT_FALSE(store->idempotency("other", "k1", noon).value().has_value());
    batch.idempotency[0].expires = noon + milliseconds(20);  // the key is used again
    commit(batch);
    ASSERT_TRUE(store->collect(noon + milliseconds(15)).has_value());
    EXPECT_TRUE(store->idempotency("acme", "k1", noon + milliseconds(15)).value().has_value());
    ASSERT_TRUE(store->collect(noon + milliseconds(20)).has_value());
    EXPECT_FALSE(store->idempotency("acme", "k1", noon).value().has_value());
}

}  // namespace
}  // namespace storage
