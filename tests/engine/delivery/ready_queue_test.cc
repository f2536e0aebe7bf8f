#include "engine/delivery/ready_queue.h"

#include <gtest/gtest.h>

namespace engine {
namespace {

struct Collected : Returns {
    std::vector<Return> returned;
    void give_back(Return one) override { returned.push_back(std::move(one)); }
};

Loan loan(Returns& returns, uint64_t queue, uint32_t index,
          storage::Class klass = storage::Class::bulk, uint64_t job = 1) {
    LoanTerms terms;
    terms.delivery.id = {storage::JobId{job}, index};
    terms.delivery.queue = {queue, 0};
    terms.queue =
        std::make_shared<const storage::QueueInfo>(storage::QueueInfo{"t", "c", klass, "d"});
    return {std::move(terms), returns};
}

std::string order(ReadyQueue& queue) {
    std::string result;
    while (auto next = queue.pop()) {
        result += static_cast<char>('a' + next->terms().delivery.queue.high);
        next->settle({});
    }
    return result;
}

TEST(ReadyQueue, FlowsTakeTurns) {
    Collected home;
    ReadyQueue queue;
    for (uint32_t i = 0; i < 4; ++i) queue.push(loan(home, 0, i));
    for (uint32_t i = 0; i < 2; ++i) queue.push(loan(home, 1, i));
    EXPECT_EQ(order(queue), "ababaa");
}

TEST(ReadyQueue, TransactionalGoesFirstButBulkDoesNotStarve) {
    Collected home;
    ReadyQueue queue;
    for (uint32_t i = 0; i < 3; ++i) queue.push(loan(home, 0, i, storage::Class::bulk));
    for (uint32_t i = 0; i < 9; ++i) queue.push(loan(home, 1, i, storage::Class::transactional));
    EXPECT_EQ(order(queue), "bbbbabbbbaba");
}

TEST(ReadyQueue, AnUntriedOneGoesInFrontOfItsFlow) {
    Collected home;
    ReadyQueue queue;
    queue.push(loan(home, 0, 1));
    queue.push(loan(home, 0, 2));
    Loan first = *queue.pop();
    queue.push_front(std::move(first));
    EXPECT_EQ(queue.pop()->terms().delivery.id.index, 1u);
}

TEST(ReadyQueue, GivesRecipientsOfTheSameJobTogether) {
    Collected home;
    ReadyQueue queue;
    queue.push(loan(home, 0, 1));
    queue.push(loan(home, 0, 2));
    queue.push(loan(home, 0, 3, storage::Class::bulk, 2));
    const Loan first = *queue.pop();
    EXPECT_TRUE(queue.pop_same_job(first));
    EXPECT_FALSE(queue.pop_same_job(first)) << "the next one is of another job";
    EXPECT_EQ(queue.size(), 1u);
}

TEST(Loan, GoesHomeUntriedWhenItDiesWithoutAnOutcome) {
    Collected home;
    {
        const Loan forgotten = loan(home, 0, 7);
    }
    ASSERT_EQ(home.returned.size(), 1u);
    EXPECT_FALSE(home.returned[0].attempt);
    EXPECT_EQ(home.returned[0].terms.delivery.id.index, 7u);
}

TEST(Loan, GoesHomeOnceWhenItIsSettledOrMoved) {
    Collected home;
    {
        Loan one = loan(home, 0, 7);
        Loan moved = std::move(one);
        moved.settle({});
    }
    ASSERT_EQ(home.returned.size(), 1u);
    EXPECT_TRUE(home.returned[0].attempt);
}

}  // namespace
}  // namespace engine
