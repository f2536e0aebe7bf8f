// When a site is spread over all shards, and that its limits hold while it is, and while it comes
// and goes.
#include "engine/delivery/spread.h"

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <random>

#include "engine/delivery/claims.h"
#include "engine/delivery/place.h"
#include "engine/delivery/shares.h"
#include "tests/engine/dns/support/fake_reactor.h"
#include "tests/engine/reactor/support/inline_worker.h"
#include "tests/storage/support/records.h"

namespace engine {
namespace {

using namespace std::chrono_literals;

constexpr double above = 0.8;
const SiteLoad hot{.busy = 0.95, .least_busy = 0.3, .shards = 2, .part = 0.9};

bool after(SpreadRule& rule, const SiteLoad& load, unsigned looks) {
    bool spread = false;
    for (unsigned i = 0; i < looks; ++i) spread = rule.look(load, above);
    return spread;
}

TEST(SpreadRule, SpreadsASiteThatKeepsItsShardBusyForTwoSeconds) {
    SpreadRule rule;
    EXPECT_FALSE(rule.look(hot, above));
    EXPECT_TRUE(rule.look(hot, above));
}

TEST(SpreadRule, LeavesASiteThatMoreCoresWouldNotHelp) {
    const auto spreads = [](auto change) {
        SiteLoad load = hot;
        change(load);
        SpreadRule rule;
        return after(rule, load, 20);
    };
    EXPECT_FALSE(spreads([](SiteLoad& load) { load.busy = 0.7; }));
    EXPECT_FALSE(spreads([](SiteLoad& load) { load.least_busy = 0.9; })) << "nobody has room";
    EXPECT_FALSE(spreads([](SiteLoad& load) { load.part = 0.1; })) << "others keep it busy";
    EXPECT_FALSE(spreads([](SiteLoad& load) { load.held = true; }));
}

TEST(SpreadRule, ComesBackAfterTenSecondsInWhichOneCoreWouldDo) {
    SpreadRule rule;
    ASSERT_TRUE(after(rule, hot, 2));
    SiteLoad half = hot;
    half.busy = half.least_busy = 0.48;
    EXPECT_TRUE(after(rule, half, 100)) << "together it is more than a core";
    SiteLoad quiet = hot;
    quiet.busy = 0.2;
    EXPECT_TRUE(after(rule, quiet, 9));
    EXPECT_TRUE(after(rule, half, 1)) << "ten in a row";
    EXPECT_TRUE(after(rule, quiet, 9));
    EXPECT_FALSE(rule.look(quiet, above));
}

TEST(Deal, GivesToTheShardThatHasLeastAndKeepsRunsTogether) {
    Deal deal(3);
    std::vector<unsigned> dealt(3);
    for (unsigned i = 0; i < 3 * Deal::run; ++i) ++dealt[deal.next(7)];
    EXPECT_EQ(dealt, std::vector<unsigned>(3, Deal::run));
    for (unsigned i = 0; i < Deal::run; ++i) deal.back(7, 1);
    for (unsigned i = 0; i < Deal::run; ++i) EXPECT_EQ(deal.next(7), 1) << "the fastest gets more";
    EXPECT_EQ(deal.next(8), 0) << "each account for itself";
}

TEST(Deal, ForgetsAnAccountThatHasNothingOut) {
    Deal deal(2);
    for (int i = 0; i < 100; ++i) {
        std::vector<ShardId> out;
        for (int j = 0; j < 50; ++j) out.push_back(deal.next(1));
        for (const ShardId shard : out) deal.back(1, shard);
    }
    EXPECT_TRUE(deal.empty());
}

/// Shards with real Shares and Claims, one connection pool of one path each, and what their owner
/// and they tell each other (delivery_shard_spread.cc), which arrives in any order that keeps that
/// of each pair.
class World {
  public:
    static constexpr double rate = 40;

    struct Shard final : Guest, Post {
        Shard(World& of, ShardId number, storage::Store& store)
            : world(of),
              id(number),
              shares({world.reactor, *this, world.worker, store,
                      [&of](ShardId peer) -> Shares& { return of.shards[peer]->shares; }},
                     {}),
              claims(shares, world.path.site, "p", world.path.source, "pool"),
              way(0, std::make_shared<const SourceSettings>(), {}, world.reactor.now()) {
            loading.spawn(shares.load());
        }
        ~Shard() override { claims.leave(*this); }
        ShardId self() const override { return id; }
        ShardId count() const override { return static_cast<ShardId>(world.mail.size()); }
        void send(ShardId to, std::move_only_function<void()> work) override {
            world.mail[id][to].push_back(std::move(work));
        }
        size_t waiting() const override { return 0; }

        size_t connections() const override { return open; }
        size_t connections_lacking() const override {
            return may_begin() && wants > open ? wants - open : 0;
        }
        void room() override {
            const Instant now = world.reactor.now();
            while (connections_lacking() > 0 && open < world.limit) {
                if (!claims.may_connect(*this, now)) return claims.wait(*this, now);
                claims.connect(now);
                ++open;
                ASSERT_LE(world.open(), world.limit);
            }
        }
        void look_at_idle() override {}
        void end() {
            if (open == 0) return;
            --open;
            claims.disconnected();
            say_done();
            room();
        }
        void begin_message() {
            const Instant now = world.reactor.now();
            if (!may_begin() || now < way.next_message(world.limits)) return;
            if (!claims.take_message(now, 5)) return;
            way.begin_message(world.limits, now);
            world.begun.push_back(now);
        }
        bool is_owner() const { return id == world.owner; }
        bool may_begin() const { return is_owner() || helps; }
        void say_done() {
            if (!leaves || open > 0) return;
            leaves = false;
            send(world.owner, [this] { world.one_done(); });
        }

        World& world;
        const ShardId id;
        Shares shares;
        Claims claims;
        Path way;
        Scope loading;
        size_t open = 0, wants = 0;  // connections
        bool helps = false, leaves = false;
    };

    World(uint32_t most, ShardId count, storage::Store& store)
        : limit(most), mail(count), owner(place_of(path.site, count)) {
        limits.connections = limit;
        limits.rate_per_second = rate;
        total.connections = limit;
        total.rate_per_second = rate;
        for (auto& from : mail) from.resize(count);
        for (ShardId id = 0; id < count; ++id)
            shards.push_back(std::make_unique<Shard>(*this, id, store));
    }
    ~World() {
        for (const auto& shard : shards) stopping.spawn(shard->shares.stop());
        reactor.run();
    }
    size_t open() const {
        size_t sum = 0;
        for (const auto& shard : shards) sum += shard->open;
        return sum;
    }
    Shard& own() { return *shards[owner]; }

    void spread() {
        if (state != Spread::State::resting) return;
        state = Spread::State::on;
        own().shares.share_path(path, total);
        own().claims.share_path(own().shares.path(path));
        own().shares.begin_path(path, {.connections = static_cast<uint32_t>(own().open),
                                       .next_message = own().way.next_message(limits)});
        for (const auto& shard : shards) {
            if (shard->is_owner()) continue;
            own().send(shard->id, [this, &one = *shard] {
                one.shares.share_path(path, total);
                one.claims.share_path(one.shares.path(path));
                one.helps = true;
                one.room();
            });
        }
    }
    void end_spread() {
        if (state != Spread::State::on) return;
        state = Spread::State::ending;
        away = shards.size() - 1;
        for (const auto& shard : shards) {
            if (shard->is_owner()) continue;
            own().send(shard->id, [this, &one = *shard] {
                one.helps = false;
                one.shares.leave_path(path);
                one.leaves = true;
                one.say_done();
            });
        }
    }
    void one_done() {
        --away;
        end_when_whole();
    }
    void end_when_whole() {
        if (state != Spread::State::ending || away > 0 || own().shares.has_lent(path)) return;
        const Shares::Begun begun = own().shares.end_path(path);
        own().way.begun_elsewhere(total, begun.next_message, begun.next_connection);
        state = Spread::State::resting;
        rests_until = reactor.now() + 2s;
        own().room();
    }
    /// A reload while it is spread.
    void lower(uint32_t connections) {
        total.connections = connections;
        own().shares.lower_path(path, total);
        end_spread();
    }
    /// One message of those that are first between two shards.
    bool deliver(std::mt19937& random) {
        reactor.run();
        std::vector<std::deque<std::move_only_function<void()>>*> ways;
        for (auto& from : mail)
            for (auto& to : from)
                if (!to.empty()) ways.push_back(&to);
        if (ways.empty()) return false;
        auto& from = *ways[random() % ways.size()];
        auto work = std::move(from.front());
        from.pop_front();
        work();
        reactor.run();
        return true;
    }
    void tick() {
        for (const auto& shard : shards) shard->shares.tick();
        end_when_whole();
    }
    void settle(std::mt19937& random) {
        for (int second = 0; second < 6; ++second) {
            while (deliver(random)) {
            }
            reactor.advance(1s);
            tick();
        }
        while (deliver(random)) {
        }
    }
    bool may_spread() const { return reactor.now() >= rests_until; }

    const PathName path{"mx.x.test", "out"};
    FakeReactor reactor;
    InlineWorker worker;
    uint32_t limit;
    Limits limits;
    TotalLimits total;
    std::vector<std::vector<std::deque<std::move_only_function<void()>>>> mail;
    ShardId owner;
    std::vector<std::unique_ptr<Shard>> shards;
    Spread::State state = Spread::State::resting;
    size_t away = 0;
    Instant rests_until{};
    std::vector<Instant> begun;
    Scope stopping;
};

class SpreadTest : public testing::Test {
  protected:
    storage::tests::TemporaryStore store;
};

void one_step(World& world, std::mt19937& random) {
    World::Shard& shard = *world.shards[random() % world.shards.size()];
    switch (random() % 12) {
        case 0:
            shard.wants = random() % 10;
            shard.room();
            break;
        case 1:
        case 2:
            shard.end();
            break;
        case 3:
            world.reactor.advance(std::chrono::milliseconds(random() % 300));
            if (random() % 3 == 0) world.tick();
            break;
        case 4:
            if (random() % 20 == 0 && world.may_spread()) world.spread();
            if (random() % 20 == 0) world.end_spread();
            break;
        case 5:
        case 6:
            world.reactor.advance(std::chrono::milliseconds(random() % 20));
            shard.begin_message();
            break;
        default:
            world.deliver(random);
    }
}

TEST_F(SpreadTest, NeverHasMoreConnectionsThanAllowedAndGetsAllOfThemBack) {
    unsigned spread = 0, whole = 0;
    for (unsigned seed = 1; seed <= 100; ++seed) {
        std::mt19937 random(seed);
        World world(static_cast<uint32_t>(1 + random() % 12),
                    static_cast<ShardId>(2 + random() % 3), *store);
        for (int step = 0; step < 3000; ++step) {
            one_step(world, random);
            ASSERT_LE(world.open(), world.limit) << "seed " << seed << " step " << step;
            spread += world.state == Spread::State::on;
        }
        world.end_spread();
        for (const auto& shard : world.shards) {
            shard->wants = 0;
            while (shard->open > 0) shard->end();
        }
        world.settle(random);
        ASSERT_EQ(world.state, Spread::State::resting) << "seed " << seed;
        world.own().wants = 100;
        world.own().room();
        EXPECT_EQ(world.open(), world.limit) << "seed " << seed;
        whole += world.open() == world.limit;
    }
    EXPECT_GT(spread, 50'000u);
    EXPECT_EQ(whole, 100u);
}

TEST_F(SpreadTest, OtherShardsGetTheirPart) {
    std::mt19937 random(1);
    World world(8, 2, *store);
    for (const auto& shard : world.shards) shard->wants = 100;
    world.own().room();
    ASSERT_EQ(world.own().open, 8u);
    world.spread();
    world.settle(random);
    for (int i = 0; i < 8; ++i) {  // connections end now and then
        world.own().end();
        world.settle(random);
    }
    EXPECT_EQ(world.own().open, 4u);
    EXPECT_EQ(world.open(), 8u);
}

TEST_F(SpreadTest, ALimitThatAReloadLowersLetsNoneBeginWhileOthersEnd) {
    std::mt19937 random(1);
    World world(8, 2, *store);
    World::Shard& helper = *world.shards[1 - world.owner];
    world.own().wants = 1;
    world.own().room();
    world.spread();
    helper.wants = 7;
    world.settle(random);
    ASSERT_EQ(helper.open, 7u);
    world.lower(3);
    world.own().wants = 3;
    world.own().room();
    world.settle(random);
    EXPECT_EQ(world.open(), 8u);
    while (helper.open > 0) {
        const size_t before = world.open();
        helper.end();
        world.settle(random);
        EXPECT_LE(world.open(), std::max<size_t>(before - 1, 3));
    }
    world.settle(random);
    EXPECT_EQ(world.open(), 3u);
    EXPECT_EQ(world.state, Spread::State::resting);
}

TEST_F(SpreadTest, BeginsMessagesNoFasterThanTheRate) {
    for (unsigned seed = 1; seed <= 50; ++seed) {
        std::mt19937 random(seed);
        World world(5, static_cast<ShardId>(2 + random() % 3), *store);
        for (int step = 0; step < 4000; ++step) one_step(world, random);
        // A bucket that leaks at the rate: a moment may be used as late as the next one comes, and
        // so may the last one of before the spread.
        double held = 0;
        Instant last{};
        for (const Instant at : world.begun) {
            const double passed = std::chrono::duration<double>(at - last).count();
            held = std::max(0.0, held - passed * World::rate) + 1;
            last = at;
            ASSERT_LE(held, 3.01) << "seed " << seed;
        }
        EXPECT_GT(world.begun.size(), 50u);
    }
}

}  // namespace
}  // namespace engine
