#include "engine/delivery/ready_queue.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace engine {
namespace {

struct Collected : Returns {
    std::vector<Return> returned;
    void give_back(Return one) override { returned.push_back(std::move(one)); }
};

struct Of {
    uint64_t queue = 0;
    std::string tenant = "t", campaign = "c";
    storage::Class klass = storage::Class::bulk;
    uint64_t job = 1;
};

Loan loan(Returns& returns, Of of, uint32_t index) {
    LoanTerms terms;
    terms.delivery.id = {storage::JobId{of.job}, index};
    terms.delivery.queue = {of.queue, 0};
    terms.queue = std::make_shared<const storage::QueueInfo>(
        storage::QueueInfo{of.tenant, of.campaign, of.klass, "d"});
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

/// Of the next `count` loans, how many each tenant gets while all keep having some.
std::map<std::string, int> shares(ReadyQueue& queue, Returns& home, int count) {
    std::map<std::string, int> got;
    for (int i = 0; i < count; ++i) {
        Loan next = *queue.pop();
        ++got[next.terms().queue->tenant];
        const LoanTerms& terms = next.terms();
        queue.push(loan(home, {.queue = terms.delivery.queue.high, .tenant = terms.queue->tenant},
                        terms.delivery.id.index));
        next.settle({});
    }
    return got;
}

TEST(ReadyQueue, QueuesOfACampaignTakeTurns) {
    Collected home;
    ReadyQueue queue;
    for (uint32_t i = 0; i < 4; ++i) queue.push(loan(home, {.queue = 0}, i));
    for (uint32_t i = 0; i < 2; ++i) queue.push(loan(home, {.queue = 1}, i));
    EXPECT_EQ(order(queue), "ababaa");
}

TEST(ReadyQueue, GivesBackWhatMustNotBeBegunAndKeepsTheRestInOrder) {
    Collected home;
    ReadyQueue queue;
    for (uint32_t i = 0; i < 4; ++i) queue.push(loan(home, {.queue = 0, .job = i % 2}, i));
    queue.push(loan(home, {.queue = 1, .job = 1}, 9));
    EXPECT_EQ(queue
                  .take_if([](const Loan& one) {
                      return one.terms().delivery.id.job == storage::JobId{1};
                  })
                  .size(),
              3u);
    EXPECT_EQ(home.returned.size(), 3u) << "they went home";
    EXPECT_EQ(queue.size(), 2u);
    EXPECT_EQ(order(queue), "aa");
    EXPECT_TRUE(queue.take_if([](const Loan&) { return true; }).empty());
}

TEST(ReadyQueue, CampaignsTakeTurnsHoweverManyQueuesTheyHave) {
    Collected home;
    ReadyQueue queue;
    for (uint64_t q = 0; q < 4; ++q) queue.push(loan(home, {.queue = q, .campaign = "wide"}, 0));
    for (uint32_t i = 0; i < 4; ++i) queue.push(loan(home, {.queue = 25, .campaign = "narrow"}, i));
    EXPECT_EQ(order(queue), "azbzczdz");
}

TEST(ReadyQueue, TenantsShareByWeight) {
    Collected home;
    ReadyQueue queue([](const std::string& tenant) { return std::stod(tenant); });
    for (uint64_t weight = 1; weight <= 10; ++weight) {
        for (uint32_t i = 0; i < 3; ++i)
            queue.push(loan(home, {.queue = weight, .tenant = std::to_string(weight)}, i));
    }
    const auto got = shares(queue, home, 5500);
    for (int weight = 1; weight <= 10; ++weight)
        EXPECT_NEAR(got.at(std::to_string(weight)), 100 * weight, 2) << weight;
}

// A tenant with one mail at a time would otherwise begin anew with each, without its debt.
TEST(ReadyQueue, ATenantThatComesAndGoesGetsNoMoreThanItsWeight) {
    Collected home;
    ReadyQueue queue([](const std::string& tenant) { return tenant == "heavy" ? 9 : 1; });
    for (uint32_t i = 0; i < 1000; ++i) queue.push(loan(home, {.queue = 0, .tenant = "heavy"}, i));
    int light = 0;
    for (int i = 0; i < 500; ++i) {
        if (i == 0 || light > 0) queue.push(loan(home, {.queue = 1, .tenant = "light"}, i));
        Loan next = *queue.pop();
        light += next.terms().queue->tenant == "light";
        next.settle({});
    }
    EXPECT_NEAR(light, 50, 2);
}

TEST(ReadyQueue, ATenantThatWasAwayClaimsNothingForIt) {
    Collected home;
    ReadyQueue queue;
    for (uint32_t i = 0; i < 100; ++i) queue.push(loan(home, {.queue = 0, .tenant = "a"}, i));
    for (int i = 0; i < 50; ++i) queue.pop()->settle({});
    for (uint32_t i = 0; i < 4; ++i) queue.push(loan(home, {.queue = 1, .tenant = "b"}, i));
    std::string next;
    for (int i = 0; i < 6; ++i) next += queue.pop()->terms().queue->tenant;
    EXPECT_EQ(next, "bababa") << "turn about";
}

TEST(ReadyQueue, RecipientsThatRideAlongCountAsTurns) {
    Collected home;
    ReadyQueue queue;
    for (uint32_t i = 0; i < 10; ++i) queue.push(loan(home, {.queue = 0, .tenant = "a"}, i));
    for (uint32_t i = 0; i < 10; ++i) queue.push(loan(home, {.queue = 1, .tenant = "b"}, i));
    const Loan first = *queue.pop();
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(queue.pop_same_job(first));
    std::string next;
    for (int i = 0; i < 5; ++i) next += queue.pop()->terms().queue->tenant;
    EXPECT_EQ(next, "bbbbb");
}

TEST(ReadyQueue, TransactionalGoesFirstButBulkDoesNotStarve) {
    Collected home;
    ReadyQueue queue;
    for (uint32_t i = 0; i < 4; ++i) queue.push(loan(home, {.queue = 0}, i));
    for (uint32_t i = 0; i < 210; ++i)
        queue.push(loan(home, {.queue = 1, .klass = storage::Class::transactional}, i));
    EXPECT_EQ(order(queue), std::string(200, 'b') + "abbbbabbbbabba");
}

TEST(ReadyQueue, AnUntriedOneGoesInFrontOfItsFlow) {
    Collected home;
    ReadyQueue queue;
    queue.push(loan(home, {}, 1));
    queue.push(loan(home, {}, 2));
    Loan first = *queue.pop();
    queue.push_front(std::move(first));
    EXPECT_EQ(queue.pop()->terms().delivery.id.index, 1u);
}

TEST(ReadyQueue, GivesRecipientsOfTheSameJobTogether) {
    Collected home;
    ReadyQueue queue;
    queue.push(loan(home, {}, 1));
    queue.push(loan(home, {}, 2));
    queue.push(loan(home, {.job = 2}, 3));
    const Loan first = *queue.pop();
    EXPECT_TRUE(queue.pop_same_job(first));
    EXPECT_FALSE(queue.pop_same_job(first)) << "the next one is of another job";
    EXPECT_EQ(queue.size(), 1u);
}

TEST(Loan, GoesHomeUntriedWhenItDiesWithoutAnOutcome) {
    Collected home;
    {
        const Loan forgotten = loan(home, {}, 7);
    }
    ASSERT_EQ(home.returned.size(), 1u);
    EXPECT_FALSE(home.returned[0].attempt);
    EXPECT_EQ(home.returned[0].terms.delivery.id.index, 7u);
}

TEST(Loan, GoesHomeOnceWhenItIsSettledOrMoved) {
    Collected home;
    {
        Loan one = loan(home, {}, 7);
        Loan moved = std::move(one);
        moved.settle({});
    }
    ASSERT_EQ(home.returned.size(), 1u);
    EXPECT_TRUE(home.returned[0].attempt);
}

bool is_limited(const std::string& tenant) {
    return tenant.starts_with("limited");
}

TEST(ReadyQueue, MailOfALimitedTenantWaitsUntilItIsAdmittedAndHoldsUpNobody) {
    Collected home;
    ReadyQueue queue({}, is_limited);
    queue.push(loan(home, {.queue = 0, .tenant = "limited"}, 0));
    queue.push(loan(home, {.queue = 0, .tenant = "limited"}, 1));
    queue.push(loan(home, {.queue = 1, .tenant = "free"}, 0));
    EXPECT_EQ(queue.size(), 1u);
    EXPECT_EQ(queue.held("limited"), 2u);
    EXPECT_EQ(order(queue), "b");
    queue.admit("limited");
    EXPECT_EQ(queue.admitted("limited"), 1u);
    EXPECT_EQ(order(queue), "a");
    EXPECT_EQ(queue.held(), 1u);
    EXPECT_EQ(queue.take_all().size(), 1u) << "also what is held";
    EXPECT_EQ(queue.held(), 0u);
}

TEST(ReadyQueue, RecipientsThatRideAlongNeedNoAdmission) {
    Collected home;
    ReadyQueue queue({}, is_limited);
    for (uint32_t i = 0; i < 3; ++i) queue.push(loan(home, {.queue = 0, .tenant = "limited"}, i));
    queue.admit("limited");
    const auto first = queue.pop();
    ASSERT_TRUE(first);
    EXPECT_EQ(queue.size(), 0u);
    EXPECT_TRUE(queue.pop_same_job(*first));
    EXPECT_TRUE(queue.pop_same_job(*first));
    EXPECT_EQ(queue.held(), 0u);
}

TEST(ReadyQueue, TransactionalMailOfALimitedTenantIsAdmittedFirst) {
    Collected home;
    ReadyQueue queue({}, is_limited);
    queue.push(loan(home, {.queue = 0, .tenant = "limited"}, 0));
    queue.push(
        loan(home, {.queue = 1, .tenant = "limited", .klass = storage::Class::transactional}, 0));
    queue.admit("limited");
    EXPECT_EQ(order(queue), "b");
}

TEST(ReadyQueue, AReloadLimitsWhatWaitsAlready) {
    Collected home;
    bool limited = false;
    ReadyQueue queue({}, [&](const std::string&) { return limited; });
    queue.push(loan(home, {.queue = 0, .tenant = "t"}, 0));
    queue.push(loan(home, {.queue = 0, .tenant = "t"}, 1));
    limited = true;
    EXPECT_EQ(queue.look_at_limits(), std::vector<std::string>{"t"});
    EXPECT_EQ(queue.held("t"), 2u);
    EXPECT_FALSE(queue.pop());
    limited = false;
    EXPECT_TRUE(queue.look_at_limits().empty());
    EXPECT_EQ(queue.size(), 2u);
}

TEST(ReadyQueue, AdmissionsThatComeToNothingAreGivenBack) {
    Collected home;
    ReadyQueue queue({}, is_limited);
    for (uint32_t i = 0; i < 3; ++i) queue.push(loan(home, {.queue = 0, .tenant = "limited"}, i));
    queue.admit("limited");
    queue.admit("limited");
    const auto first = queue.pop();
    EXPECT_TRUE(queue.take_unused().empty());
    EXPECT_TRUE(queue.pop_same_job(*first));
    EXPECT_TRUE(queue.pop_same_job(*first));
    EXPECT_EQ(queue.take_unused()["limited"], 1u) << "it rode along with the first";
    queue.push(loan(home, {.queue = 0, .tenant = "limited"}, 3));
    queue.admit("limited");
    EXPECT_EQ(queue.take_all().size(), 1u);
    EXPECT_EQ(queue.take_unused()["limited"], 1u) << "it went home";
    EXPECT_TRUE(queue.take_unused().empty());
}

/// Random calls against counts that are kept beside.
TEST(ReadyQueue, CountsWhatMayGoAndWhatIsHeld) {
    for (unsigned seed = 1; seed <= 50; ++seed) {
        std::mt19937 random(seed);
        Collected home;
        ReadyQueue queue({}, is_limited);
        std::map<std::string, size_t> there, admitted;
        const auto total = [&] {
            size_t sum = 0;
            for (const auto& [tenant, loans] : there) sum += loans;
            return sum;
        };
        for (uint32_t step = 0; step < 3000; ++step) {
            const std::string tenant =
                (random() % 2 ? "limited" : "free") + std::to_string(random() % 3);
            switch (random() % 6) {
                case 0:
                case 1: {
                    const auto klass =
                        random() % 3 == 0 ? storage::Class::transactional : storage::Class::bulk;
                    const uint64_t id = std::hash<std::string>{}(tenant) % 1000 * 8 +
                                        (klass == storage::Class::bulk ? 4 : 0) + random() % 4;
                    Loan one = loan(home, {.queue = id, .tenant = tenant, .klass = klass}, step);
                    if (random() % 4 == 0)
                        queue.push_front(std::move(one));
                    else
                        queue.push(std::move(one));
                    ++there[tenant];
                    break;
                }
                case 2:
                    if (queue.held(tenant) > 0) ++admitted[tenant];
                    queue.admit(tenant);
                    break;
                case 3: {
                    auto taken = queue.take_if(
                        [&](const Loan& one) { return one.terms().delivery.id.index % 7 == 0; });
                    for (const Loan& one : taken) --there[one.terms().queue->tenant];
                    break;
                }
                default:
                    if (auto next = queue.pop()) {
                        const std::string whose = next->terms().queue->tenant;
                        --there[whose];
                        if (!is_limited(whose)) break;
                        ASSERT_GT(admitted[whose], 0u) << "seed " << seed << " step " << step;
                        --admitted[whose];
                    } else {
                        ASSERT_TRUE(queue.empty());
                    }
            }
            ASSERT_EQ(queue.size() + queue.held(), total()) << "seed " << seed << " step " << step;
        }
        EXPECT_EQ(queue.take_all().size(), total());
        EXPECT_EQ(queue.size() + queue.held(), 0u);
    }
}

TEST(FairOrder, AWeightThatHasChangedCountsFromTheNextTimeItIsNamed) {
    struct Always {
        static bool empty() { return false; }
    };
    FairOrder<Always> order;
    const auto turns_of_a = [&](double weight) {
        order.of("b", 1);
        int turns = 0;
        for (int i = 0; i < 120; ++i) {
            order.of("a", weight);
            auto* entry = order.first([](const auto&) { return true; });
            order.charge(*entry);
            turns += entry->name == "a";
        }
        return turns;
    };
    EXPECT_NEAR(turns_of_a(1), 60, 2);
    EXPECT_NEAR(turns_of_a(5), 100, 3);
}

}  // namespace
}  // namespace engine
