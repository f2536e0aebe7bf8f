// What a start does with the deliveries that the process before left in doubt.
#include "engine/delivery/in_doubt.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/storage/support/records.h"

namespace engine {
namespace {

using namespace std::chrono_literals;
using namespace storage::tests;
using storage::Event;

constexpr storage::QueueId queue_of_all{1, 1};

class LeftInDoubt : public ::testing::Test {
  protected:
    void SetUp() override {
        settings_.retry_schedule = {60s};
        open();
        journals_->begin();
        storage::Batch batch = accept_all(make_job(job_id(1)), 6, queue_of_all);
        batch.queues.emplace_back(
            queue_of_all, storage::QueueInfo{"acme", "nov", storage::Class::bulk, "x.test"});
        commit_or_fail(*store_, batch);
    }
    void open() {
        store_.reset();
        store_ = open_or_fail({.data_dir = at_.path()});
        auto journals = storage::InDoubtFiles::open(at_.path(), 1, store_->boot());
        ASSERT_TRUE(journals) << journals.error().what;
        journals_ = std::move(*journals);
    }
    storage::Delivery row(uint32_t index) { return make_delivery(job_id(1), index, queue_of_all); }
    void leave(const storage::Delivery& delivery) {
        journals_->journal(0).reserve(1);
        journals_->journal(0).put(delivery, noon);
        journals_->journal(0).give_back(1);
    }
    size_t settle() {
        const auto settled =
            settle_left_in_doubt(*journals_, *store_, settings_, registry_, noon + 10s);
        EXPECT_TRUE(settled) << settled.error().what;
        return settled.value_or(0);
    }
    std::vector<Event> events() { return store_->events(6, 100).value(); }
    std::vector<storage::Delivery> rows() {
        return store_->read_queue(queue_of_all, {}, 100).value();
    }

    TemporaryDirectory at_;
    Settings settings_;
    metrics::Registry registry_;
    std::unique_ptr<storage::Store> store_;
    std::unique_ptr<storage::InDoubtFiles> journals_;
};

TEST_F(LeftInDoubt, GoesAgainAndIsToldOfOnce) {
    leave(row(1));
    leave(row(4));
    open();
    EXPECT_EQ(settle(), 2u);
    open();
    EXPECT_EQ(settle(), 0u);
    const std::vector<Event> told = events();
    ASSERT_EQ(told.size(), 2u);
    for (const Event& event : told) {
        EXPECT_EQ(event.type, Event::Type::deferred);
        EXPECT_TRUE(event.in_doubt);
        EXPECT_EQ(event.attempt, 1u);
        EXPECT_EQ(event.domain, "x.test");
        EXPECT_EQ(event.from, make_job(job_id(1)).sender);
    }
    const auto all = rows();
    ASSERT_EQ(all.size(), 6u);
    EXPECT_EQ(std::ranges::count(all, storage::Doubt::may_be_duplicate, &storage::Delivery::doubt),
              2);
    EXPECT_EQ(std::ranges::count(all, 1u, &storage::Delivery::attempts), 2);
}

TEST_F(LeftInDoubt, CountsOnlyWhereNoOutcomeWasRecorded) {
    leave(row(0));  // ended before the crash
    leave(row(1));  // deferred before it
    storage::Delivery later = row(2);
    later.attempts = 3;  // what a power cut left of another attempt
    leave(later);
    commit_or_fail(*store_, finish(row(0)), 2);
    commit_or_fail(*store_, defer(row(1), noon + 1h), 3);
    const auto before = store_->last_event();
    open();
    EXPECT_EQ(settle(), 0u);
    EXPECT_EQ(store_->last_event(), before);
}

TEST_F(LeftInDoubt, EndsWhereItIsAssumedDelivered) {
    settings_.in_doubt = {WhenInDoubt::assume_delivered, WhenInDoubt::assume_delivered};
    leave(row(3));
    open();
    EXPECT_EQ(settle(), 1u);
    EXPECT_EQ(rows().size(), 5u);
    EXPECT_EQ(events().back().type, Event::Type::delivered);
    EXPECT_EQ(store_->ledger().at("acme").delivered, 1u);
}

TEST_F(LeftInDoubt, WaitsForAnOperatorWhereItIsHeld) {
    settings_.in_doubt = {WhenInDoubt::hold, WhenInDoubt::hold};
    leave(row(3));
    open();
    EXPECT_EQ(settle(), 1u);
    const auto notes = store_->notes(Held::kind, {}, 10).value();
    ASSERT_EQ(notes.size(), 1u);
    const auto held = read_held(notes[0]);
    ASSERT_TRUE(held);
    const auto kept = store_->delivery(held->key).value();
    ASSERT_TRUE(kept);
    EXPECT_EQ(kept->doubt, storage::Doubt::held);
    EXPECT_EQ(kept->due, kept->expires);
}

}  // namespace
}  // namespace engine
