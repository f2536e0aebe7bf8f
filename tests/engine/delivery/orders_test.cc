#include <gtest/gtest.h>

#include "engine/delivery/cancellations.h"
#include "engine/delivery/suspensions.h"

namespace engine {
namespace {

using storage::JobId;
using storage::WallTime;

const storage::QueueInfo acme_nov{"acme", "nov", storage::Class::bulk, "x.test"};
const storage::QueueInfo acme_otp{"acme", "", storage::Class::transactional, "y.test"};
const storage::QueueInfo other{"other", "nov", storage::Class::bulk, "x.test"};

Suspensions holding(std::vector<Reach> reaches) {
    std::vector<Suspension> list;
    for (Reach& reach : reaches)
        list.push_back({.id = OrderId{list.size() + 1}, .reach = std::move(reach)});
    return {std::move(list), 25};
}

storage::Delivery delivery(uint64_t job, std::string to, storage::AcceptMark mark = {1, 0, 1}) {
    return {.id = {JobId{job}, 0}, .recipient = std::move(to), .mark = mark};
}

TEST(Suspensions, HoldOnlyWhatTheyNameWhole) {
    const Suspensions held = holding({{.tenant = "acme", .campaign = "nov"}});
    EXPECT_TRUE(held.of_queue(acme_nov));
    EXPECT_FALSE(held.of_queue(acme_otp));
    EXPECT_FALSE(held.of_queue(other));
    EXPECT_TRUE(holding({{.domain = "x.test"}}).of_queue(other));
    EXPECT_TRUE(holding({{.klass = storage::Class::transactional}}).of_queue(acme_otp));
    EXPECT_FALSE(holding({{.klass = storage::Class::transactional}}).of_queue(acme_nov));
    EXPECT_TRUE(holding({{.campaign = ""}}).of_queue(acme_otp)) << "mail without a campaign";
    EXPECT_FALSE(holding({{.campaign = ""}}).of_queue(acme_nov));
    EXPECT_TRUE(holding({{}}).of_queue(other)) << "everything";
}

TEST(Suspensions, OfAProviderOrASiteWaitForTheRoute) {
    const Suspensions held = holding({{.tenant = "acme", .provider = "google"}});
    EXPECT_FALSE(held.of_queue(acme_nov));
    EXPECT_TRUE(held.on_way(acme_nov, "google", "mx.x"));
    EXPECT_FALSE(held.on_way(acme_nov, "default", "mx.x"));
    EXPECT_FALSE(held.on_way(other, "google", "mx.x"));
    EXPECT_TRUE(holding({{.site = "mx.x"}}).on_way(other, "default", "mx.x"));
}

TEST(Suspensions, OfASourceHoldNoQueue) {
    const Suspensions held = holding({{.source = "ip1"}});
    EXPECT_FALSE(held.on_way(acme_nov, "default", "mx.x"));
    EXPECT_TRUE(held.source_held("ip1"));
    EXPECT_FALSE(held.source_held("ip2"));
}

TEST(Suspensions, ThatHoldGoBeforeThoseThatLeadAway) {
    const Suspensions orders({{.id = OrderId{1}, .reach = {.domain = "x.test"}, .route = {"r:26"}},
                              {.id = OrderId{2}, .reach = {.campaign = "nov"}}},
                             25);
    EXPECT_EQ(orders.of_queue(acme_nov)->id, OrderId{2});
    const Suspension* led = orders.find(OrderId{1});
    EXPECT_EQ(orders.route_of(*led)->hosts.front().name, "r");
    EXPECT_EQ(orders.route_of(*led)->hosts.front().port, 26);
    EXPECT_TRUE(is_detour(orders.route_of(*led)->site));
}

TEST(Suspensions, AreReadAsTheyWereWritten) {
    const Suspension one{.id = OrderId{7},
                         .reach = {.tenant = "acme",
                                   .domain = "x.test",
                                   .klass = storage::Class::bulk,
                                   .site = "mx.x"},
                         .reason = "spam trap",
                         .since = WallTime{std::chrono::milliseconds(5)},
                         .until = WallTime{std::chrono::milliseconds(9)},
                         .route = {"relay.test:25"}};
    const auto read = decode_suspension(one.id, encode(one));
    ASSERT_TRUE(read);
    EXPECT_EQ(read->reach, one.reach);
    EXPECT_EQ(read->reason, one.reason);
    EXPECT_EQ(read->until, one.until);
    EXPECT_EQ(read->route, one.route);
    EXPECT_FALSE(decode_suspension(one.id, encode(one) + "x"));
    EXPECT_FALSE(decode_suspension(one.id, "\x09"));
}

TEST(Cancellations, CoverWhatHadBeenCommittedWhenTheyCame) {
    const Cancellation order{.reach = {.campaign = "nov"}, .boot = 3, .groups = {10, 20}};
    EXPECT_TRUE(order.covers(acme_nov, delivery(1, "a@x.test", {3, 0, 10})));
    EXPECT_FALSE(order.covers(acme_nov, delivery(1, "a@x.test", {3, 0, 11})));
    EXPECT_TRUE(order.covers(acme_nov, delivery(1, "a@x.test", {3, 1, 20})));
    EXPECT_TRUE(order.covers(acme_nov, delivery(1, "a@x.test", {2, 1, 99}))) << "an earlier start";
    EXPECT_FALSE(order.covers(acme_nov, delivery(1, "a@x.test", {4, 1, 1}))) << "a later start";
    EXPECT_FALSE(order.covers(acme_otp, delivery(1, "a@x.test", {3, 0, 1})));
}

TEST(Cancellations, OfAJobCoverWhatIsStillToCome) {
    const Cancellation order{
        .reach = {.tenant = "acme", .job = JobId{7}}, .boot = 3, .groups = {1}};
    EXPECT_TRUE(order.covers(acme_nov, delivery(7, "a@x.test", {4, 0, 99})));
    EXPECT_FALSE(order.covers(acme_nov, delivery(8, "a@x.test", {3, 0, 1})));
}

TEST(Cancellations, AreFoundByJobRecipientDomainCampaignAndTenant) {
    const std::vector<std::pair<Reach, bool>> reaches{
        {{.job = JobId{7}}, true},     {{.recipient = "ann@x.test"}, true},
        {{.domain = "x.test"}, true},  {{.campaign = "nov"}, true},
        {{.tenant = "acme"}, true},    {{}, true},
        {{.job = JobId{8}}, false},    {{.recipient = "bob@x.test"}, false},
        {{.domain = "y.test"}, false}, {{.campaign = "dec"}, false},
        {{.tenant = "other"}, false},  {{.tenant = "other", .job = JobId{7}}, false},
    };
    for (const auto& [reach, covered] : reaches) {
        const Cancellations orders({{.reach = reach, .boot = 2}});
        EXPECT_EQ(orders.of(acme_nov, delivery(7, "Ann@x.test")) != nullptr, covered)
            << reach.words();
    }
    const Cancellations none{std::vector<Cancellation>{}};
    EXPECT_FALSE(none.of(acme_nov, delivery(7, "ann@x.test")));
}

TEST(Cancellations, KnowTheQueuesThatHaveToBeSearched) {
    const Cancellations orders({{.reach = {.tenant = "acme", .campaign = "nov", .job = JobId{7}}},
                                {.reach = {.domain = "y.test", .recipient = "a@y.test"}}});
    EXPECT_TRUE(orders.touches(acme_nov));
    EXPECT_TRUE(orders.touches(acme_otp));
    EXPECT_FALSE(orders.touches(other));
}

TEST(Cancellations, AreReadAsTheyWereWritten) {
    const Cancellation one{.id = OrderId{9},
                           .reach = {.recipient = "a@x.test", .job = JobId{3}},
                           .reason = "withdrawn",
                           .since = WallTime{std::chrono::milliseconds(5)},
                           .boot = 4,
                           .groups = {1, 1ull << 40}};
    const auto read = decode_cancellation(one.id, encode(one));
    ASSERT_TRUE(read);
    EXPECT_EQ(read->reach, one.reach);
    EXPECT_EQ(read->reason, one.reason);
    EXPECT_EQ(read->boot, one.boot);
    EXPECT_EQ(read->groups, one.groups);
    EXPECT_FALSE(decode_cancellation(one.id, ""));
}

}  // namespace
}  // namespace engine
