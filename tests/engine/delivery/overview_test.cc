#include "engine/delivery/overview.h"

#include <gtest/gtest.h>

namespace engine {
namespace {

using namespace std::chrono_literals;

TEST(Overview, PutsAnAgeBelowTheFirstBoundAboveIt) {
    EXPECT_EQ(age_place(0ms), 0u);
    EXPECT_EQ(age_place(-5s), 0u) << "the clock was set back";
    EXPECT_EQ(age_place(5min - 1ms), 0u);
    EXPECT_EQ(age_place(5min), 1u);
    EXPECT_EQ(age_place(1279min), 8u);
    EXPECT_EQ(age_place(1280min), 9u);
    EXPECT_EQ(age_place(240h), Ages{}.size() - 1);
}

TEST(Overview, AddsTheQueuesOfShardsAndKeepsTheOldest) {
    const storage::WallTime time{1'790'000'000'000ms};
    QueueOverview sum, other;
    sum.domains["x.test"] = {
        .waiting = 2, .lent = 1, .queues = 1, .oldest = time, .next_due = time};
    other.domains["x.test"] = {
        .waiting = 3, .queues = 2, .oldest = time - 1min, .next_due = time + 1min};
    other.domains["y.test"] = {.waiting = 1};
    other.whole = false;
    sum.add(std::move(other));
    const DomainQueues& x = sum.domains["x.test"];
    EXPECT_EQ(x.waiting, 5u);
    EXPECT_EQ(x.lent, 1u);
    EXPECT_EQ(x.queues, 3u);
    EXPECT_EQ(x.oldest, time - 1min);
    EXPECT_EQ(x.next_due, time);
    EXPECT_EQ(sum.domains.size(), 2u);
    EXPECT_FALSE(sum.whole);
}

TEST(Overview, NamesAtMostSoManyQueuesOnDisk) {
    DomainQueues sum;
    for (uint64_t i = 0; i < 2 * QueueQuestion::on_disk_max; ++i)
        sum.add({.on_disk = {storage::QueueId{i, i}}});
    EXPECT_EQ(sum.on_disk.size(), QueueQuestion::on_disk_max);
}

TEST(Overview, CountsSitesOfAProviderByWhatHoldsThemBack) {
    ProviderView provider, elsewhere;
    provider.add(SiteView{.ready = 3, .busy = 1, .limit = "rate"});
    provider.add(SiteView{.ready = 1});
    elsewhere.add(SiteView{.ready = 2, .limit = "rate"});
    elsewhere.add(SiteView{.limit = "reply"});
    provider.add(elsewhere);
    EXPECT_EQ(provider.sites, 4u);
    EXPECT_EQ(provider.ready, 6u);
    EXPECT_EQ(provider.limited, 3u);
    EXPECT_EQ(provider.limits.at("rate"), 2u);
    EXPECT_EQ(provider.limits.at("reply"), 1u);
}

TEST(Overview, ASiteOnAllShardsIsOneSiteWithAllOfItsConnections) {
    SiteOverview owner, helper;
    owner.sites = {{.site = "mx.a", .ready = 3, .open = 4, .shards = 2}};
    owner.sites[0].paths = {{.source = "out", .open = 4}};
    helper.helped = {{.site = "mx.a", .ready = 1, .open = 3, .shards = 2}, {.site = "mx.gone"}};
    helper.helped[0].paths = {{.source = "out", .open = 2}, {.source = "second", .open = 1}};
    owner.add(std::move(helper));
    owner.finish(10);
    ASSERT_EQ(owner.sites.size(), 1u);
    const SiteView& whole = owner.sites[0];
    EXPECT_EQ(whole.ready, 4u);
    EXPECT_EQ(whole.open, 7u);
    EXPECT_EQ(whole.shards, 2u);
    ASSERT_EQ(whole.paths.size(), 2u);
    EXPECT_EQ(whole.paths[0].open, 6u);
}

}  // namespace
}  // namespace engine
