#include "engine/delivery/unit_lease.h"

#include <gtest/gtest.h>

#include <deque>
#include <numeric>
#include <random>

namespace engine {
namespace {

using namespace std::chrono_literals;

/// A keeper and its shards, with the messages that are under way between them. What they have to
/// say is put on its way in say(); deliver() lets one message arrive, of any of those that are
/// first.
class Leases {
  public:
    Leases(uint32_t limit, size_t shards)
        : keeper(limit, shards), shares(shards), waiting(shards), up_(shards), down_(shards) {}

    void say(size_t shard) {
        if (auto need = shares[shard].tell(waiting[shard])) up_[shard].push_back(*need);
    }
    void tick(size_t shard) {
        if (auto need = shares[shard].tell_all(waiting[shard])) up_[shard].push_back(*need);
    }
    bool deliver(std::mt19937& random) {
        std::vector<std::deque<UnitNeed>*> needs;
        std::vector<size_t> awards;
        for (size_t i = 0; i < shares.size(); ++i) {
            if (!up_[i].empty()) needs.push_back(&up_[i]);
            if (!down_[i].empty()) awards.push_back(i);
        }
        const size_t all = needs.size() + awards.size();
        if (all == 0) return false;
        const size_t at = random() % all;
        if (at < needs.size()) {
            const auto shard = static_cast<size_t>(needs[at] - up_.data());
            keeper.told(shard, up_[shard].front());
            up_[shard].pop_front();
            for (const auto& [to, award] : keeper.awards(now)) down_[to].push_back(award);
        } else {
            const size_t shard = awards[at - needs.size()];
            shares[shard].award(down_[shard].front());
            down_[shard].pop_front();
            use(shard);
        }
        return true;
    }
    /// What waits takes what there is.
    void use(size_t shard) {
        while (waiting[shard] > 0 && shares[shard].free()) {
            shares[shard].take();
            --waiting[shard];
        }
        say(shard);
    }
    void settle(std::mt19937& random) {
        for (int round = 0; round < 4; ++round) {
            while (deliver(random)) {
            }
            now += 1s;
            for (size_t i = 0; i < shares.size(); ++i) {
                for (; shares[i].surplus() > 0; ++waiting[i]) shares[i].release();
                tick(i);
                use(i);
            }
        }
        while (deliver(random)) {
        }
    }
    uint32_t used() const {
        return std::accumulate(shares.begin(), shares.end(), 0u,
                               [](uint32_t sum, const UnitShare& s) { return sum + s.used(); });
    }
    uint32_t wanted() const { return used() + std::accumulate(waiting.begin(), waiting.end(), 0u); }

    UnitKeeper keeper;
    std::vector<UnitShare> shares;
    std::vector<uint32_t> waiting;
    Instant now{1h};

  private:
    std::vector<std::deque<UnitNeed>> up_;
    std::vector<std::deque<UnitAward>> down_;
};

TEST(UnitLease, NeverLendsMoreThanThereIsAndAllOfItWhereThereIsNeed) {
    for (unsigned seed = 1; seed <= 300; ++seed) {
        std::mt19937 random(seed);
        const auto limit = static_cast<uint32_t>(1 + random() % 24);
        Leases all(limit, 1 + random() % 5);
        for (int step = 0; step < 2000; ++step) {
            const size_t shard = random() % all.shares.size();
            switch (random() % 6) {
                case 0:
                    all.waiting[shard] += random() % 8;
                    break;
                case 1:
                    all.waiting[shard] = 0;  // its mail has gone another way
                    break;
                case 2:
                    if (all.shares[shard].used() > 0) all.shares[shard].release();
                    break;
                case 3:
                    all.now += std::chrono::milliseconds(random() % 1000);
                    all.tick(shard);
                    break;
                default:
                    all.deliver(random);
            }
            all.use(shard);
            ASSERT_LE(all.used(), limit) << "seed " << seed << " step " << step;
            ASSERT_LE(all.keeper.lent(), limit) << "seed " << seed << " step " << step;
        }
        all.settle(random);
        EXPECT_EQ(all.used(), std::min(limit, all.wanted())) << "seed " << seed;
    }
}

TEST(UnitLease, IsSharedEvenlyByShardsThatWantAll) {
    std::mt19937 random(1);
    Leases all(20, 3);
    for (size_t i = 0; i < 3; ++i) {
        all.waiting[i] = 100;
        all.use(i);
        all.settle(random);
    }
    for (const UnitShare& share : all.shares) {
        EXPECT_GE(share.used(), 6u);
        EXPECT_LE(share.used(), 7u);
    }
}

TEST(UnitLease, GoesRoundWhenThereAreFewerUnitsThanShards) {
    std::mt19937 random(1);
    Leases all(1, 3);
    std::vector<int> turns(3);
    for (size_t i = 0; i < 3; ++i) {
        all.waiting[i] = 5;
        all.use(i);
    }
    for (int second = 0; second < 60; ++second) {
        all.settle(random);
        ASSERT_LE(all.used(), 1u);
        for (size_t i = 0; i < 3; ++i) turns[i] += all.shares[i].used() > 0;
    }
    for (const int of : turns) EXPECT_GE(of, 10) << "nobody starves";
}

TEST(UnitLease, ComesBackWhenItIsNotNeeded) {
    std::mt19937 random(1);
    Leases all(10, 2);
    all.waiting[0] = 10;
    all.use(0);
    all.settle(random);
    ASSERT_EQ(all.shares[0].used(), 10u);
    for (int i = 0; i < 10; ++i) all.shares[0].release();
    all.use(0);
    all.settle(random);
    EXPECT_EQ(all.shares[0].held(), 0u);
    EXPECT_EQ(all.keeper.lent(), 0u);
}

TEST(UnitLease, ALoweredLimitHoldsOnceWhatIsTooMuchHasEnded) {
    std::mt19937 random(1);
    Leases all(10, 2);
    all.waiting = {20, 20};
    all.use(0);
    all.use(1);
    all.settle(random);
    ASSERT_EQ(all.used(), 10u);
    all.keeper.use(4);
    all.settle(random);
    all.settle(random);
    EXPECT_EQ(all.used(), 4u);
}

}  // namespace
}  // namespace engine
