#include "engine/delivery/lending_order.h"

#include <gtest/gtest.h>

namespace engine {
namespace {

using enum storage::Class;
using Order = LendingOrder<int>;

/// Lends everything that may be lent; every queue always has more.
std::map<int, size_t> lend_all(Order& order, std::map<int, Order::Claimant>& who) {
    std::map<int, size_t> lent;
    while (const auto turn = order.next(8)) {
        lent[turn->item] += turn->room;
        order.lent(who.at(turn->item).klass, who.at(turn->item).tenant, turn->room);
        order.add(who.at(turn->item), turn->item);
        if (lent.size() > 1000) break;
    }
    return lent;
}

void add_all(Order& order, const std::map<int, Order::Claimant>& who) {
    for (const auto& [item, claimant] : who) order.add(claimant, item);
}

TEST(LendingOrder, GivesOneTenantAllOfTheCredit) {
    Order order(160);
    std::map<int, Order::Claimant> who{{1, {bulk, "a", "c"}}};
    add_all(order, who);
    EXPECT_EQ(lend_all(order, who)[1], 160u);
    EXPECT_FALSE(order.next(8));
    EXPECT_TRUE(order.returned(bulk, "a"));
    EXPECT_EQ(order.next(8)->room, 1u);
}

TEST(LendingOrder, PartsTheCreditByWeight) {
    Order order(160);
    std::map<int, Order::Claimant> who{{1, {bulk, "a", "", 1}}, {3, {bulk, "b", "", 3}}};
    add_all(order, who);
    const auto lent = lend_all(order, who);
    EXPECT_EQ(lent.at(1), 40u);
    EXPECT_EQ(lent.at(3), 120u);
}

TEST(LendingOrder, LendsToANewcomerAlthoughAnotherHoldsAllOfTheCredit) {
    Order order(160);
    std::map<int, Order::Claimant> who{{1, {bulk, "stuck", ""}}};
    add_all(order, who);
    lend_all(order, who);
    EXPECT_TRUE(order.add({bulk, "new", ""}, 2));
    const auto turn = order.next(8);
    ASSERT_TRUE(turn);
    EXPECT_EQ(turn->item, 2);
}

TEST(LendingOrder, GoesOnWithAQueueThatIsAddedInFront) {
    Order order(160);
    for (const int item : {1, 2, 3}) order.add({bulk, "a", ""}, item);
    EXPECT_EQ(order.next(8)->item, 1);
    order.add({bulk, "a", ""}, 1, Order::Where::front);
    EXPECT_EQ(order.next(8)->item, 1);
    order.add({bulk, "a", ""}, 1);
    EXPECT_EQ(order.next(8)->item, 2);
    EXPECT_EQ(order.next(8)->item, 3);
    EXPECT_EQ(order.next(8)->item, 1);
}

TEST(LendingOrder, LendsEachClassItsLeastToAllTenantsTogetherWhenItIsTight) {
    Order order(160);
    for (const char* tenant : {"a", "b"}) order.add({bulk, tenant, ""}, tenant[0]);
    order.set_credit(Order::allowance_min, true);
    const auto first = order.next(8);
    ASSERT_TRUE(first);
    EXPECT_EQ(first->room, 8u);
    order.lent(bulk, first->item == 'a' ? "a" : "b", 8);
    EXPECT_FALSE(order.next(8)) << "another tenant's eight would be beyond it";
    order.add({storage::Class::transactional, "b", ""}, 't');
    EXPECT_EQ(order.next(8)->item, 't');
    order.lent(storage::Class::transactional, "b", 0);
    // The room that one gives back is another one's.
    EXPECT_TRUE(order.returned(bulk, first->item == 'a' ? "a" : "b"));
    const auto second = order.next(8);
    ASSERT_TRUE(second);
    EXPECT_NE(second->item, first->item);
    EXPECT_EQ(second->room, 1u);
}

TEST(LendingOrder, LendsTransactionalMailBeforeBulkAndBesideAllOfIt) {
    Order order(64);
    std::map<int, Order::Claimant> who{{1, {bulk, "a", ""}}};
    add_all(order, who);
    lend_all(order, who);
    order.returned(bulk, "a");
    order.add({transactional, "a", ""}, 2);
    const auto turn = order.next(8);
    ASSERT_TRUE(turn);
    EXPECT_EQ(turn->item, 2);
}

TEST(LendingOrder, CampaignsTakeTurnsHoweverManyQueuesTheyHave) {
    Order order(64);
    for (int queue = 0; queue < 100; ++queue) order.add({bulk, "a", "large"}, queue);
    order.add({bulk, "a", "small"}, 1000);
    std::vector<int> turns;
    for (int i = 0; i < 4; ++i) {
        turns.push_back(order.next(1)->item);
        order.lent(bulk, "a", 1);
    }
    EXPECT_EQ(turns, (std::vector{0, 1000, 1, 2}));
}

TEST(LendingOrder, ForgetsTenantsThatHaveNothingDueAndNothingOut) {
    Order order(64);
    order.add({bulk, "a", "", 3}, 1);
    ASSERT_TRUE(order.next(1));
    order.lent(bulk, "a", 1);
    EXPECT_FALSE(order.returned(bulk, "a"));
    EXPECT_EQ(order.out(), 0u);
    EXPECT_FALSE(order.busy());
    order.add({bulk, "b", ""}, 2);
    EXPECT_EQ(order.next(100)->room, 64u) << "the weight of the first is gone with it";
}

TEST(LendingOrder, KeepsRoomForAQueueThatIsReadFromDisk) {
    Order order(64);
    for (const int queue : {1, 2}) order.add({bulk, "a", ""}, queue);
    ASSERT_EQ(order.next(60)->item, 1);
    order.set_aside(bulk, "a", 60);
    EXPECT_EQ(order.next(60)->room, 4u);
    order.lent(bulk, "a", 4);
    EXPECT_EQ(order.come_back(bulk, "a", 60), 60u);
    order.lent(bulk, "a", 0);
    for (int i = 0; i < 4; ++i) order.returned(bulk, "a");
    EXPECT_FALSE(order.busy());
}

TEST(LendingOrder, KnowsATenantWhoseOnlyQueueIsBeingRead) {
    Order order(64);
    order.add({bulk, "a", "", 3}, 1);
    ASSERT_TRUE(order.next(8));
    order.set_aside(bulk, "a", 8);
    order.add({bulk, "b", ""}, 2);
    ASSERT_EQ(order.next(100)->room, 16u);
    order.lent(bulk, "b", 16);
    EXPECT_FALSE(order.returned(bulk, "b"));
    EXPECT_TRUE(order.busy());
    EXPECT_EQ(order.come_back(bulk, "a", 8), 8u);
    order.lent(bulk, "a", 0);
}

TEST(LendingOrder, GoesByTheWeightsAndTheCreditOfNow) {
    LendingOrder<int> order(100);
    order.add({storage::Class::bulk, "a", "", 1}, 1);
    order.add({storage::Class::bulk, "b", "", 1}, 2);
    order.add({storage::Class::bulk, "a", "", 4}, 3);  // the configuration was changed
    EXPECT_EQ(order.next(1000)->room, 80u);
    order.set_credit(50, false);
    EXPECT_EQ(order.next(1000)->room, 40u);
}

}  // namespace
}  // namespace engine
