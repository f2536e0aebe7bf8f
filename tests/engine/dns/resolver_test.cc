#include "engine/dns/resolver.h"

#include <gmock/gmock.h>

#include <set>

#include "engine/reactor/scope.h"
#include "metrics/catalog.h"
#include "tests/engine/dns/support/fake_reactor.h"
#include "tests/engine/dns/support/zone_client.h"

namespace engine {

namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;
using Type = DnsClient::Type;
using RouteAnswer = std::expected<std::shared_ptr<const Route>, NoRoute>;
using Addresses = std::expected<std::vector<Endpoint>, NoRoute>;

Task<> ask_route(Resolver& resolver, std::string domain, std::vector<RouteAnswer>& answers) {
    answers.push_back(co_await resolver.route(std::move(domain)));
}
Task<> ask_addresses(Resolver& resolver, std::string host, std::vector<Addresses>& answers) {
    answers.push_back(co_await resolver.addresses(std::move(host), 2525));
}

class ResolverTest : public testing::Test {
  protected:
    ResolverOptions options{
        .port = 2525, .allow_addresses = {"192.0.2.0/24"}, .own_name = "Out1.example.com"};
    FakeReactor reactor;
    ZoneClient zone{reactor};
    std::unique_ptr<Resolver> made;

    Resolver& resolver() {
        if (!made) made = std::make_unique<Resolver>(reactor, zone, options);
        return *made;
    }
    RouteAnswer route(const std::string& domain) {
        std::vector<RouteAnswer> answers;
        Scope scope;
        scope.spawn(ask_route(resolver(), domain, answers));
        reactor.run();
        EXPECT_EQ(answers.size(), 1u);
        return answers.at(0);
    }
    std::vector<std::string> hosts(const std::string& domain) {
        std::vector<std::string> names;
        const RouteAnswer answer = route(domain);
        EXPECT_TRUE(answer) << answer.error().reason;
        if (answer) {
            for (const MxHost& host : (*answer)->hosts) names.push_back(host.name);
        }
        return names;
    }
    NoRoute refusal(const std::string& domain) {
        const RouteAnswer answer = route(domain);
        EXPECT_FALSE(answer);
        return answer ? NoRoute{} : answer.error();
    }
    Addresses addresses(const std::string& host) {
        std::vector<Addresses> answers;
        Scope scope;
        scope.spawn(ask_addresses(resolver(), host, answers));
        reactor.run();
        EXPECT_EQ(answers.size(), 1u);
        return answers.at(0);
    }
    std::vector<std::string> ips(const std::string& host) {
        std::vector<std::string> found;
        const Addresses answer = addresses(host);
        EXPECT_TRUE(answer) << answer.error().reason;
        if (answer) {
            for (const Endpoint& endpoint : *answer) found.push_back(endpoint.address.to_string());
        }
        return found;
    }
};

MATCHER_P2(Bounces, code, enhanced, "") {
    return arg.permanent && arg.code == code && arg.enhanced == enhanced && !arg.reason.empty();
}
MATCHER(Waits, "") {
    return !arg.permanent && arg.code == 451 && arg.enhanced == "4.4.3" && !arg.reason.empty();
}

}  // namespace

TEST_F(ResolverTest, OrdersHostsByPreference) {
    zone.mx("x.test", {{30, "mx3.test"}, {10, "mx1.test"}, {20, "mx2.test"}});
    EXPECT_THAT(hosts("x.test"), ElementsAre("mx1.test", "mx2.test", "mx3.test"));
    EXPECT_EQ((*route("x.test"))->site, "mx1.test+mx2.test+mx3.test");
    EXPECT_EQ((*route("x.test"))->hosts.front().port, 2525);
    EXPECT_FALSE((*route("x.test"))->implicit);
}

TEST_F(ResolverTest, ShufflesHostsOfEqualPreferenceOnly) {
    std::set<std::vector<std::string>> orders;
    for (int i = 0; i < 100; ++i) {
        const std::string domain = "d" + std::to_string(i) + ".test";
        zone.mx(domain, {{20, "last.test"}, {10, "a.test"}, {10, "b.test"}, {10, "c.test"}});
        orders.insert(hosts(domain));
    }
    EXPECT_EQ(orders.size(), 6u);
    for (const auto& order : orders) EXPECT_EQ(order.back(), "last.test");
}

TEST_F(ResolverTest, TakesTheDomainItselfOnlyWhenThereIsNoMx) {
    zone.address("x.test", {"192.0.2.1"});
    EXPECT_THAT(hosts("x.test"), ElementsAre("x.test"));
    EXPECT_TRUE((*route("x.test"))->implicit);
}

TEST_F(ResolverTest, NeverTakesTheDomainItselfWhenMxExistButFail) {
    zone.address("x.test", {"192.0.2.1"});
    zone.broken("x.test", Type::mx);
    EXPECT_THAT(refusal("x.test"), Waits());
    zone.mx("y.test", {{10, "gone.test"}});
    zone.address("y.test", {"192.0.2.1"}, 300);
    EXPECT_THAT(hosts("y.test"), ElementsAre("gone.test"));
    EXPECT_THAT(addresses("gone.test").error(), Bounces(550, "5.4.4"));
}

TEST_F(ResolverTest, BouncesADomainThatDoesNotExist) {
    EXPECT_THAT(refusal("nowhere.test"), Bounces(550, "5.1.2"));
    EXPECT_THAT(refusal("nowhere.test").reason, HasSubstr("nowhere.test does not exist"));
}

TEST_F(ResolverTest, DefersWhenTheDnsFailsAndSaysHow) {
    zone.broken("x.test", Type::mx);
    EXPECT_THAT(refusal("x.test"), Waits());
    EXPECT_THAT(refusal("x.test").reason, HasSubstr("SERVFAIL from 127.0.0.1:53"));
}

TEST_F(ResolverTest, BouncesANullMxAtOnceWithoutAskingForAddresses) {
    zone.mx("x.test", {{0, ""}});
    EXPECT_THAT(refusal("x.test"), Bounces(556, "5.1.10"));
    EXPECT_EQ(zone.asked(), 1u);
}

TEST_F(ResolverTest, IgnoresANullMxBesideOthers) {
    zone.mx("x.test", {{0, ""}, {10, "mx.test"}});
    EXPECT_THAT(hosts("x.test"), ElementsAre("mx.test"));
}

TEST_F(ResolverTest, LeavesOutItselfAndAllThatAreNotBetter) {
    zone.mx("x.test", {{10, "mx1.test"},
                       {20, "out1.example.com"},
                       {20, "mx2.test"},
                       {20, "zz.test"},
                       {30, "mx3.test"}});
    EXPECT_THAT(hosts("x.test"), ElementsAre("mx1.test"));
}

TEST_F(ResolverTest, BouncesWhenItselfIsTheBestMx) {
    zone.mx("x.test", {{10, "OUT1.example.com."}, {10, "mx2.test"}, {20, "mx3.test"}});
    EXPECT_THAT(refusal("x.test"), Bounces(554, "5.4.6"));
}

TEST_F(ResolverTest, SkipsMxHostsThatAreAddressesOrNoNames) {
    zone.mx("x.test", {{1, "192.0.2.1"},
                       {2, "[192.0.2.1]"},
                       {3, "a b.test"},
                       {4, "a\\046b.test"},
                       {5, "mx.test"}});
    EXPECT_THAT(hosts("x.test"), ElementsAre("mx.test"));
    zone.mx("y.test", {{1, "192.0.2.1"}, {2, "-bad-.test"}});
    EXPECT_THAT(refusal("y.test"), Bounces(550, "5.4.4"));
}

TEST_F(ResolverTest, TakesAHostThatIsListedTwiceOnce) {
    zone.mx("x.test", {{20, "MX.test"}, {10, "mx.test"}, {15, "other.test"}});
    EXPECT_THAT(hosts("x.test"), ElementsAre("mx.test", "other.test"));
}

TEST_F(ResolverTest, RefusesNamesBeforeAnyQuestion) {
    for (const char* domain :
         {"", "a b.test", "-a.test", "a..test", "x.test\r\nMAIL", "[not-an-ip]", "192.0.2.1"}) {
        EXPECT_THAT(refusal(domain), Bounces(550, "5.1.2")) << domain;
    }
    EXPECT_EQ(zone.asked(), 0u);
}

TEST_F(ResolverTest, RoutesAnAddressLiteralToThatAddress) {
    EXPECT_THAT(hosts("[192.0.2.7]"), ElementsAre("[192.0.2.7]"));
    EXPECT_THAT(ips("[192.0.2.7]"), ElementsAre("192.0.2.7:2525"));
    EXPECT_THAT(ips("[IPv6:2a00:1450::1b]"), ElementsAre("[2a00:1450::1b]:2525"));
    EXPECT_THAT(refusal("[127.0.0.1]"), Bounces(550, "5.4.4"));
    EXPECT_THAT(addresses("[127.0.0.1]").error(), Bounces(550, "5.4.4"));
    EXPECT_EQ(zone.asked(), 0u);
}

TEST_F(ResolverTest, AsksOnceUntilTheTtlEnds) {
    zone.mx("x.test", {{10, "mx.test"}}, 300);
    EXPECT_EQ(route("x.test"), route("X.test."));
    EXPECT_EQ((*route("x.test"))->expires, reactor.now() + 300s);
    reactor.advance(299s);
    route("x.test");
    EXPECT_EQ(zone.asked("x.test", Type::mx), 1u);
    reactor.advance(1s);
    route("x.test");
    EXPECT_EQ(zone.asked("x.test", Type::mx), 2u);
}

TEST_F(ResolverTest, BoundsTtlsOnBothSides) {
    zone.mx("short.test", {{10, "mx.test"}}, 0);
    zone.mx("long.test", {{10, "mx.test"}}, 0x7fffffff);
    EXPECT_EQ((*route("short.test"))->expires, reactor.now() + options.ttl_min);
    EXPECT_EQ((*route("long.test"))->expires, reactor.now() + options.ttl_max);
}

TEST_F(ResolverTest, RemembersThatThereIsNoDomainAndFailuresForLess) {
    zone.set("gone.test", Type::mx, {.status = DnsAnswer::Status::no_name, .ttl_seconds = 86400});
    zone.broken("x.test", Type::mx);
    refusal("gone.test");
    refusal("x.test");
    reactor.advance(options.failure_ttl);
    refusal("gone.test");
    refusal("x.test");
    EXPECT_EQ(zone.asked("gone.test", Type::mx), 1u);
    EXPECT_EQ(zone.asked("x.test", Type::mx), 2u);
    reactor.advance(options.negative_ttl_max);
    refusal("gone.test");
    EXPECT_EQ(zone.asked("gone.test", Type::mx), 2u);
}

TEST_F(ResolverTest, AnswersManyWhoAskAtOnceWithOneQuestion) {
    zone.mx("x.test", {{10, "mx.test"}});
    std::vector<RouteAnswer> answers;
    Scope scope;
    for (int i = 0; i < 1000; ++i) scope.spawn(ask_route(resolver(), "x.test", answers));
    reactor.run();
    EXPECT_EQ(answers.size(), 1000u);
    EXPECT_EQ(std::ranges::count(answers, answers[0]), 1000);
    EXPECT_EQ(zone.asked(), 1u);
    EXPECT_EQ(resolver().counts().shared, 999u);
}

TEST_F(ResolverTest, KeepsItsCacheWithinTheLimit) {
    options.entries_max = 10;
    for (int i = 0; i < 100; ++i) {
        zone.mx("d" + std::to_string(i) + ".test", {{10, "mx.test"}});
        hosts("d" + std::to_string(i) + ".test");
    }
    EXPECT_EQ(resolver().cached(), 10u);
    hosts("d99.test");
    EXPECT_EQ(zone.asked(), 100u);
    hosts("d0.test");
    EXPECT_EQ(zone.asked(), 101u);
}

TEST_F(ResolverTest, GivesAddressesOfBothFamiliesInTheOrderOfTheMachine) {
    zone.address("mx.test", {"192.0.2.1", "2a00:1450::1b"});
    EXPECT_THAT(ips("mx.test"), ElementsAre("192.0.2.1:2525", "[2a00:1450::1b]:2525"));
    made.reset();
    options.ipv6_first = true;
    EXPECT_THAT(ips("mx.test"), ElementsAre("[2a00:1450::1b]:2525", "192.0.2.1:2525"));
    EXPECT_EQ(addresses("mx.test")->front().host, "mx.test");
}

TEST_F(ResolverTest, BeginsWithAnotherAddressEachTime) {
    zone.address("mx.test", {"192.0.2.1", "192.0.2.2", "192.0.2.3"});
    std::set<std::string> first;
    for (int i = 0; i < 50; ++i) first.insert(ips("mx.test").front());
    EXPECT_EQ(first.size(), 3u);
    EXPECT_EQ(zone.asked(), 2u);
}

TEST_F(ResolverTest, LetsNoFailureOfAaaaStopA) {
    zone.address("mx.test", {"192.0.2.1"});
    zone.broken("mx.test", Type::aaaa);
    EXPECT_THAT(ips("mx.test"), ElementsAre("192.0.2.1:2525"));
    reactor.advance(299s);
    ips("mx.test");
    EXPECT_EQ(zone.asked("mx.test", Type::a), 1u);
}

TEST_F(ResolverTest, TakesIpv6WhenAFailsButAsksAgainSoon) {
    zone.address("mx.test", {"2a00:1450::1b"});
    zone.broken("mx.test", Type::a);
    EXPECT_THAT(ips("mx.test"), ElementsAre("[2a00:1450::1b]:2525"));
    reactor.advance(options.failure_ttl);
    ips("mx.test");
    EXPECT_EQ(zone.asked("mx.test", Type::a), 2u);
}

TEST_F(ResolverTest, DefersAHostWhoseAddressCanNotBeKnownNow) {
    zone.address("mx.test", {});
    zone.broken("mx.test", Type::aaaa);
    EXPECT_THAT(addresses("mx.test").error(), Waits());
}

TEST_F(ResolverTest, SaysThatAHostHasNoAddressOrIsNotThere) {
    zone.address("empty.test", {});
    EXPECT_THAT(addresses("empty.test").error(), Bounces(550, "5.4.4"));
    EXPECT_THAT(addresses("empty.test").error().reason, HasSubstr("empty.test has no address"));
    EXPECT_THAT(addresses("gone.test").error().reason, HasSubstr("gone.test does not exist"));
    EXPECT_THAT(addresses("no host").error(), Bounces(550, "5.4.4"));
}

TEST_F(ResolverTest, NeverGivesASpecialAddress) {
    zone.address("evil.test",
                 {"127.0.0.1", "::1", "10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1"});
    EXPECT_THAT(addresses("evil.test").error(), Bounces(550, "5.4.4"));
    EXPECT_THAT(addresses("evil.test").error().reason,
                HasSubstr("127.0.0.1: it is loopback (127.0.0.0/8)"));
    zone.address("mixed.test", {"127.0.0.1", "192.0.2.9"});
    EXPECT_THAT(ips("mixed.test"), ElementsAre("192.0.2.9:2525"));
}

TEST_F(ResolverTest, BoundsHostsAndAddresses) {
    std::vector<DnsAnswer::Mx> records;
    std::vector<std::string> many;
    for (uint16_t i = 0; i < 500; ++i) {
        records.push_back({i, "mx" + std::to_string(i) + ".test"});
        if (i < 250) many.push_back("192.0.2." + std::to_string(i));
    }
    zone.mx("x.test", records);
    zone.address("mx0.test", many);
    EXPECT_EQ(hosts("x.test").size(), 100u);
    EXPECT_EQ(ips("mx0.test").size(), 100u);
}

TEST_F(ResolverTest, CountsWhatItAskedAndWhatItKnew) {
    metrics::Registry registry;
    options.registry = &registry;
    zone.mx("x.test", {{10, "mx.test"}});
    zone.broken("y.test", Type::mx);
    route("x.test"), route("x.test"), route("y.test");
    EXPECT_EQ(registry.counter(metrics::catalog::dns_lookups, {"mx", "ok"}).value(), 1u);
    EXPECT_EQ(registry.counter(metrics::catalog::dns_lookups, {"mx", "failed"}).value(), 1u);
    EXPECT_EQ(registry.counter(metrics::catalog::dns_cache_hits).value(), 1u);
    made.reset();
}

TEST_F(ResolverTest, RefusesToStartWithBadExceptions) {
    options.allow_addresses = {"127.0.0.0/99"};
    EXPECT_THROW(resolver(), std::invalid_argument);
}

}  // namespace engine
