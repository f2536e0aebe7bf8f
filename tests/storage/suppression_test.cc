// Suppression lists: whose they are, what they hold, and what must be looked up again.
#include <gmock/gmock.h>

#include "storage/ids.h"
#include "storage/ledger.h"
#include "storage/store.h"
#include "tests/storage/support/records.h"

namespace storage {
namespace {

using namespace storage::tests;
using std::chrono::hours;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class SuppressionTest : public ::testing::Test {
  protected:
    void reopen() {
        store.reset();
        store = open_or_fail({.data_dir = directory.path() / "data"});
    }
    void suppress(std::string tenant, std::string address, WallTime entered = noon) {
        const Suppression entry{.tenant = std::move(tenant),
                                .address = std::move(address),
                                .reason = "asked",
                                .source = "api",
                                .time = entered};
        ASSERT_TRUE(store->suppress({&entry, 1}));
        store->look_again(entry.tenant, noon);
    }
    std::vector<bool> asked(std::string_view tenant, std::vector<std::string> addresses) {
        return store->suppressed(tenant, addresses).value();
    }
    std::vector<std::string> listed(std::string_view tenant, std::string_view after = "",
                                    size_t limit = 100) {
        std::vector<std::string> addresses;
        const auto entries = store->suppressions(tenant, after, limit);
        for (const Suppression& one : *entries) addresses.push_back(one.address);
        return addresses;
    }

    TemporaryDirectory directory;
    std::unique_ptr<Store> store = open_or_fail({.data_dir = directory.path() / "data"});
};

TEST_F(SuppressionTest, IsOfOneTenantOrOfAll) {
    suppress("acme", "a@x.test");
    suppress("acme2", "b@x.test");
    suppress(std::string(every_tenant), "c@x.test");
    const std::vector<std::string> all{"a@x.test", "b@x.test", "c@x.test", "d@x.test"};
    EXPECT_THAT(asked("acme", all), ElementsAre(true, false, true, false));
    EXPECT_THAT(asked("acme2", all), ElementsAre(false, true, true, false));
    EXPECT_THAT(asked("other", all), ElementsAre(false, false, true, false));
    reopen();
    EXPECT_THAT(asked("acme", all), ElementsAre(true, false, true, false));
    const auto entry = store->suppression("acme", "a@x.test").value();
    ASSERT_TRUE(entry);
    EXPECT_EQ(entry->reason, "asked");
    EXPECT_EQ(entry->source, "api");
    EXPECT_EQ(entry->time, noon);
    EXPECT_FALSE(store->suppression("acme", "b@x.test").value());
}

TEST_F(SuppressionTest, IsListedPageByPageWithoutItsNeighbours) {
    for (const char* address : {"c@x.test", "a@x.test", "b@x.test"}) suppress("acme", address);
    suppress("acmf", "z@x.test");
    suppress("acm", "y@x.test");
    EXPECT_THAT(listed("acme", "", 2), ElementsAre("a@x.test", "b@x.test"));
    EXPECT_THAT(listed("acme", "b@x.test", 2), ElementsAre("c@x.test"));
    EXPECT_THAT(listed("acme", "c@x.test"), IsEmpty());
    EXPECT_THAT(listed("nobody"), IsEmpty());
}

TEST_F(SuppressionTest, SaysHowManyItHasForgotten) {
    suppress("acme", "a@x.test");
    const std::vector<std::string> two{"a@x.test", "b@x.test"};
    EXPECT_EQ(store->unsuppress("acme", two).value(), 1U);
    EXPECT_EQ(store->unsuppress("acme", two).value(), 0U);
    EXPECT_THAT(asked("acme", two), ElementsAre(false, false));
}

TEST_F(SuppressionTest, CostsNothingWhereThereIsNoList) {
    EXPECT_EQ(store->suppressed_upto("acme"), JobId{});
    suppress("acme", "a@x.test");
    EXPECT_NE(store->suppressed_upto("acme"), JobId{});
    EXPECT_EQ(store->suppressed_upto("other"), JobId{});
    suppress(std::string(every_tenant), "a@x.test");
    EXPECT_NE(store->suppressed_upto("other"), JobId{});
}

TEST_F(SuppressionTest, AsksForASecondLookAtWhatWasAcceptedBeforeAnEntry) {
    // An entry of last year, imported now: it is news to this store all the same.
    suppress("acme", "a@x.test", noon - hours(8'000));
    EXPECT_GE(store->suppressed_upto("acme"), make_job_id({.time = noon}));
    EXPECT_LT(store->suppressed_upto("acme"), make_job_id({.time = noon + hours(1)}));
    commit_or_fail(*store, accept_all(make_job(job_id(1, noon + hours(2))), 1));
    reopen();
    EXPECT_GE(store->suppressed_upto("acme"), make_job_id({.time = noon + hours(2)}));
}

TEST_F(SuppressionTest, ComesWithTheBounceThatIsItsReason) {
    const Job job = make_job(job_id(1));
    commit_or_fail(*store, accept_all(job, 1));
    Batch bounce = finish(make_delivery(job.id, 0), Event::Type::bounced);
    bounce.suppressions.push_back({.tenant = "acme",
                                   .address = "a@x.test",
                                   .reason = "550",
                                   .source = "bounce",
                                   .time = noon});
    commit_or_fail(*store, bounce, 2);
    reopen();
    EXPECT_THAT(asked("acme", {"a@x.test"}), ElementsAre(true));
    EXPECT_EQ(store->ledger().at("acme").bounced, 1U);
}

TEST_F(SuppressionTest, EndsWithItsAcceptanceAndLeavesNoContentBehind) {
    Batch batch = accept_all(make_job(job_id(1)), 1);
    batch.puts.clear();  // a suppressed recipient has no row
    Event end = batch.events.front();
    end.type = Event::Type::suppressed;
    batch.events.push_back(end);
    commit_or_fail(*store, batch);
    const JobCounts counts = store->ledger().at("acme");
    EXPECT_EQ(counts.accepted, 1U);
    EXPECT_EQ(counts.suppressed, 1U);
    EXPECT_EQ(counts.open(), 0U);
    commit_or_fail(*store, accept_all(make_job(job_id(2)), 1), 2);  // which drops what is of no use
    EXPECT_FALSE(store->content(job_id(1)).value());
    EXPECT_TRUE(store->content(job_id(2)).value());
}

}  // namespace
}  // namespace storage
