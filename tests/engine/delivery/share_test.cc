#include "engine/delivery/share.h"

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <random>

namespace engine {
namespace {

using namespace std::chrono_literals;

/// Sites of some shards that open connections out of one total, its keeper, and the messages
/// between them, which arrive in any order that keeps each shard's own.
class World {
  public:
    struct Site final : Guest {
        Site(World& of, size_t number, size_t place) : world(of), shard(number), name(place) {}
        size_t connections() const override { return busy + idle; }
        size_t connections_lacking() const override {
            return wants > connections() ? wants - connections() : 0;
        }
        void room() override {
            Share& share = world.share(shard);
            while (connections_lacking() > 0) {
                if (!share.may_connect(*this, world.now)) return share.wait(*this, world.now);
                share.connect(world.now);
                ++busy;
                ++opened;
            }
        }
        void look_at_idle() override { looks = true; }
        /// What its coroutines do after that.
        void look() {
            if (!std::exchange(looks, false)) return;
            while (idle > 0 && world.share(shard).gives_way(*this, Share::Between::nothing)) {
                world.share(shard).remove_idle(*this);
                --idle;
                world.share(shard).disconnected();
            }
        }
        void rest() {  // a connection has no work any more
            --busy;
            ++idle;
            world.share(shard).add_idle(*this);
            looks = true;
        }
        void end() {
            --busy;
            world.share(shard).disconnected();
        }

        World& world;
        size_t shard, name;
        size_t wants = 0, busy = 0, idle = 0, opened = 0;
        bool looks = false;
    };

    World(uint32_t limit, size_t shards, size_t sites)
        : keeper(limit, shards), up_(shards), down_(shards) {
        TotalLimits limits;
        limits.connections = limit;
        for (size_t i = 0; i < shards; ++i)
            shares_.push_back(std::make_unique<Share>(TotalKey{TotalOf::provider, "p"}, limits,
                                                      [this, i](Share*) { news_.push_back(i); }));
        for (size_t i = 0; i < sites; ++i)
            this->sites.push_back(std::make_unique<Site>(*this, i % shards, i));
    }
    ~World() {
        for (const auto& site : sites) share(site->shard).leave(*site);
    }
    Share& share(size_t shard) { return *shares_[shard]; }
    size_t open() const {
        size_t sum = 0;
        for (const auto& site : sites) sum += site->connections();
        return sum;
    }
    size_t wanted() const {
        size_t sum = 0;
        for (const auto& site : sites) sum += std::max(site->wants, site->connections());
        return sum;
    }

    void turn() {
        for (const auto& site : sites) site->look();
        for (const size_t shard : std::exchange(news_, {}))
            if (auto told = share(shard).tell(now); told.units) up_[shard].push_back(*told.units);
    }
    bool deliver(std::mt19937& random) {
        std::vector<size_t> ways;
        for (size_t i = 0; i < up_.size(); ++i) {
            if (!up_[i].empty()) ways.push_back(i);
            if (!down_[i].empty()) ways.push_back(up_.size() + i);
        }
        if (ways.empty()) return false;
        const size_t way = ways[random() % ways.size()];
        const size_t shard = way % up_.size();
        if (way < up_.size()) {
            keeper.told(shard, up_[shard].front());
            up_[shard].pop_front();
            for (const auto& [to, award] : keeper.awards(now)) down_[to].push_back(award);
        } else {
            const UnitAward award = down_[shard].front();
            down_[shard].pop_front();
            share(shard).given({.units = award}, now);
        }
        return true;
    }
    void tick() {
        for (size_t i = 0; i < shares_.size(); ++i)
            if (auto told = share(i).tell_all(now); told.units) up_[i].push_back(*told.units);
    }
    void settle(std::mt19937& random) {
        for (int second = 0; second < 6; ++second) {
            do {
                turn();
            } while (deliver(random));
            now += 1s;
            tick();
        }
        do {
            turn();
        } while (deliver(random));
    }
    /// Ten mails have gone over each connection: those that others need end.
    void ten_mails() {
        for (const auto& site : sites) {
            for (size_t i = site->busy; i > 0; --i) {
                if (!share(site->shard).gives_way(*site, Share::Between::mails)) continue;
                site->end();
                site->room();
            }
        }
    }

    UnitKeeper keeper;
    std::vector<std::unique_ptr<Site>> sites;
    Instant now{1h};

  private:
    std::vector<std::unique_ptr<Share>> shares_;
    std::vector<size_t> news_;
    std::vector<std::deque<UnitNeed>> up_;
    std::vector<std::deque<UnitAward>> down_;
};

TEST(Share, SitesOfAllShardsNeverOpenMoreThanTheTotalAndAllOfItInTheEnd) {
    for (unsigned seed = 1; seed <= 200; ++seed) {
        std::mt19937 random(seed);
        const auto limit = static_cast<uint32_t>(1 + random() % 12);
        World world(limit, 1 + random() % 4, 1 + random() % 12);
        for (int step = 0; step < 1500; ++step) {
            World::Site& site = *world.sites[random() % world.sites.size()];
            switch (random() % 8) {
                case 0:
                    site.wants = random() % 10;
                    site.room();
                    break;
                case 1:
                    if (site.busy > 0) site.rest();
                    break;
                case 2:
                    if (site.busy > 0) site.end();
                    break;
                case 3:
                    world.now += std::chrono::milliseconds(random() % 700);
                    if (random() % 3 == 0) world.tick();
                    break;
                case 4:
                    world.turn();
                    break;
                default:
                    world.deliver(random);
            }
            ASSERT_LE(world.open(), limit) << "seed " << seed << " step " << step;
        }
        for (const auto& site : world.sites) site->wants = 5;
        for (const auto& site : world.sites) site->room();
        world.settle(random);
        EXPECT_EQ(world.open(), std::min<size_t>(limit, world.wanted())) << "seed " << seed;
    }
}

TEST(Share, ASiteWithoutAConnectionGetsOneFromThoseThatHaveAll) {
    for (const size_t shards : {1, 2, 3}) {
        std::mt19937 random(1);
        World world(6, shards, 6);
        world.sites[0]->wants = 100;
        world.sites[0]->room();
        world.settle(random);
        ASSERT_EQ(world.sites[0]->busy, 6u);
        for (const auto& site : world.sites) site->wants = 100;
        for (const auto& site : world.sites) site->room();
        for (int round = 0; round < 20; ++round) {
            world.settle(random);
            world.ten_mails();
        }
        world.settle(random);
        for (const auto& site : world.sites)
            EXPECT_GE(site->opened, 1u) << shards << " shards, site " << site->name;
        EXPECT_EQ(world.open(), 6u);
    }
}

TEST(Share, IdleConnectionsEndForWhoWaits) {
    std::mt19937 random(1);
    World world(2, 2, 2);
    world.sites[0]->wants = 2;
    world.sites[0]->room();
    world.settle(random);
    world.sites[0]->wants = 0;
    world.sites[0]->rest();
    world.sites[0]->rest();
    world.settle(random);
    EXPECT_EQ(world.sites[0]->idle, 2u) << "nobody waits";
    world.sites[1]->wants = 1;
    world.sites[1]->room();
    world.settle(random);
    EXPECT_EQ(world.sites[1]->busy, 1u);
    EXPECT_LE(world.open(), 2u);
}

}  // namespace
}  // namespace engine
