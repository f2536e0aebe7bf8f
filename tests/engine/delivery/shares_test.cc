// Totals while settings change, which come to one shard after the other.
#include "engine/delivery/shares.h"

#include <gtest/gtest.h>

#include <deque>
#include <memory>

#include "engine/delivery/claims.h"
#include "tests/engine/dns/support/fake_reactor.h"
#include "tests/engine/reactor/support/inline_worker.h"
#include "tests/storage/support/records.h"

namespace engine {
namespace {

using namespace std::chrono_literals;

/// Shards with real Shares; what they tell each other arrives in the order in which it was sent.
class TotalsOfShards : public ::testing::Test {
  protected:
    struct Shard final : Post {
        Shard(TotalsOfShards& of, ShardId number, const Settings& settings)
            : all(of),
              id(number),
              shares({of.reactor, *this, of.worker, *of.store,
                      [&of](ShardId peer) -> Shares& { return of.shards[peer]->shares; }},
                     settings) {
            of.scope.spawn(shares.load());
        }
        ShardId self() const override { return id; }
        ShardId count() const override { return shards_max; }
        void send(ShardId, std::move_only_function<void()> work) override {
            all.mail.push_back(std::move(work));
        }
        size_t waiting() const override { return 0; }

        TotalsOfShards& all;
        ShardId id;
        Shares shares;
    };
    /// Of a site's connections, those to one share.
    struct Connections final : Guest {
        explicit Connections(Share& of, Instant& time) : share(of), now(time) {}
        ~Connections() override { share.leave(*this); }
        size_t connections() const override { return open; }
        size_t connections_lacking() const override { return wants > open ? wants - open : 0; }
        void room() override {
            while (connections_lacking() > 0) {
                if (!share.may_connect(*this, now)) return share.wait(*this, now);
                share.connect(now);
                ++open;
            }
        }
        void look_at_idle() override {}
        void want(size_t most) {
            wants = most;
            room();
        }
        void end() {
            --open;
            share.disconnected();
            room();
        }
        /// Ten mails have gone over each: those that others need end.
        void ten_mails() {
            for (size_t i = open; i > 0; --i)
                if (share.gives_way(*this, Share::Between::mails)) end();
        }

        Share& share;
        Instant& now;
        size_t wants = 0, open = 0;
    };
    static constexpr ShardId shards_max = 2;

    void begin(const Settings& settings) {
        for (ShardId id = 0; id < shards_max; ++id)
            shards.push_back(std::make_unique<Shard>(*this, id, settings));
        deliver();
    }
    ~TotalsOfShards() override {
        for (const auto& shard : shards) scope.spawn(shard->shares.stop());
        deliver();
    }
    void deliver() {
        reactor.run();
        while (!mail.empty()) {
            auto work = std::move(mail.front());
            mail.pop_front();
            work();
            reactor.run();
        }
    }
    void pass(std::chrono::milliseconds time) {
        reactor.advance(time);
        now = reactor.now();
        for (const auto& shard : shards) shard->shares.tick();
        deliver();
    }
    void use_everywhere(const Settings& settings) {
        for (const auto& shard : shards) shard->shares.use(settings);
        deliver();
    }
    static Settings with_provider(uint32_t connections) {
        Settings settings;
        settings.providers.push_back({.name = "p", .total = {.connections = connections}});
        return settings;
    }
    Share& of_provider(ShardId shard) { return shards[shard]->shares.of(TotalOf::provider, "p"); }

    storage::tests::TemporaryStore store;
    FakeReactor reactor;
    Instant now = reactor.now();
    InlineWorker worker;
    std::deque<std::move_only_function<void()>> mail;
    std::vector<std::unique_ptr<Shard>> shards;
    Scope scope;
};

TEST_F(TotalsOfShards, WhoHasTheLastOfAQuotaWaitsForTheOtherTotalsWithIt) {
    Settings settings;
    settings.sources = {{.name = "out", .total = {.per_hour = 1}}, {.name = "other"}};
    settings.pools = {{.name = "pool", .sources = {0, 1}, .total = {.rate_per_second = 0.1}}};
    begin(settings);
    Shares& shares = shards[0]->shares;
    Claims first(shares, "mx.a.test", "p", "other", "pool");
    Claims has_it(shares, "mx.b.test", "p", "out", "pool"),
        comes_late(shares, "mx.c.test", "p", "out", "pool");
    for (int i = 0; i < 20 && !first.take_message(now, 1); ++i) pass(10ms);
    Share* lacks = nullptr;
    for (int i = 0; i < 20; ++i) {
        lacks = has_it.lacking(now, 1);
        pass(10ms);
    }
    ASSERT_TRUE(lacks) << "the pool's next message is ten seconds away";
    ASSERT_EQ(lacks->key().of, TotalOf::pool) << "it has the last one of its source";
    (void)comes_late.lacking(now, 1);
    pass(10ms);
    EXPECT_TRUE(comes_late.full(now));
    EXPECT_FALSE(has_it.full(now)) << "or it is given back, and taken again, without end";
    has_it.give_back(now);
}

TEST_F(TotalsOfShards, AnAskAheadOfItsKeepersReloadIsAnsweredLater) {
    begin({});
    Settings next;
    for (int i = 0; i < 8; ++i)
        next.providers.push_back(
            {.name = "p" + std::to_string(i), .total = {.rate_per_second = 100}});
    // Either shard keeps some of these names.
    for (const Provider& provider : next.providers)
        for (const auto& shard : shards) shard->shares.of(TotalOf::provider, provider.name);
    Shares &ahead = shards[0]->shares, &behind = shards[1]->shares;
    ahead.use(next);
    const auto take = [&](const Provider& provider) {
        return ahead.of(TotalOf::provider, provider.name).take_message(now, 1);
    };
    for (const Provider& provider : next.providers) (void)take(provider);
    deliver();
    behind.use(next);
    for (const Provider& provider : next.providers) {
        bool taken = false;
        for (int i = 0; i < 20 && !taken; ++i) {
            pass(100ms);
            taken = take(provider);
            deliver();
            if (!taken) taken = take(provider);
        }
        EXPECT_TRUE(taken) << provider.name;
    }
}

TEST_F(TotalsOfShards, ALoweredTotalEndsConnectionsWhereNobodyAsksForMore) {
    begin(with_provider(8));
    Connections one(of_provider(0), now), two(of_provider(1), now);
    for (Connections* site : {&one, &two}) site->want(4);
    pass(1s);
    ASSERT_EQ(one.open + two.open, 8u);
    use_everywhere(with_provider(2));
    for (int i = 0; i < 5; ++i) {
        for (Connections* site : {&one, &two}) site->ten_mails();
        pass(1s);
    }
    EXPECT_EQ(one.open + two.open, 2u);
}

class FirstTotal : public TotalsOfShards, public ::testing::WithParamInterface<int> {};

/// The parameter: which shard the reload comes to first.
TEST_P(FirstTotal, CountsTheConnectionsThatStand) {
    begin({});
    Connections one(of_provider(0), now), two(of_provider(1), now);
    for (Connections* site : {&one, &two}) site->want(4);
    ASSERT_EQ(one.open + two.open, 8u);
    for (const ShardId shard : {GetParam(), 1 - GetParam()}) {
        shards[shard]->shares.use(with_provider(5));
        deliver();
    }
    for (Connections* site : {&one, &two}) site->want(10);
    for (int i = 0; i < 5; ++i) {
        EXPECT_LE(one.open + two.open, 8u) << "none is opened beside those that are too many";
        for (Connections* site : {&one, &two}) site->ten_mails();
        pass(1s);
    }
    EXPECT_EQ(one.open + two.open, 5u);
    for (Connections* site : {&one, &two}) {
        site->wants = 0;
        while (site->open > 0) site->end();
    }
    for (int i = 0; i < 3; ++i) pass(1s);
    one.want(10);
    for (int i = 0; i < 3; ++i) pass(1s);
    EXPECT_EQ(one.open, 5u) << "each unit has come back once";
}

TEST_P(FirstTotal, MayGoAndComeAgain) {
    begin(with_provider(3));
    Connections one(of_provider(0), now), two(of_provider(1), now);
    for (Connections* site : {&one, &two}) site->want(4);
    for (int i = 0; i < 3; ++i) pass(1s);
    ASSERT_EQ(one.open + two.open, 3u);
    for (const uint32_t total : {0u, 6u, 0u, 2u}) {
        for (const ShardId shard : {GetParam(), 1 - GetParam()}) {
            shards[shard]->shares.use(with_provider(total));
            deliver();
        }
        for (Connections* site : {&one, &two}) site->room();
        for (int i = 0; i < 8; ++i) {
            pass(1s);
            for (Connections* site : {&one, &two}) site->ten_mails();
        }
        pass(1s);
        EXPECT_EQ(one.open + two.open, total == 0 ? 8u : total) << total;
        for (Connections* site : {&one, &two}) site->end();
    }
}

INSTANTIATE_TEST_SUITE_P(EitherShardFirst, FirstTotal, ::testing::Values(0, 1));

}  // namespace
}  // namespace engine
