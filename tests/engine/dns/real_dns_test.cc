// The rules over the real thing: resolver, c-ares, io_uring and a DNS server on loopback.
#include "engine/dns/cares_client.h"
#include "engine/dns/resolver.h"
#include "engine/reactor/uring_reactor.h"
#include "tests/engine/dns/support/dnsmasq.h"
#include <gtest/gtest.h>


namespace engine {

namespace {

Task<> describe_route(Resolver& resolver, CaresClient& client, std::string domain,
                      std::string& told) {
    const auto route = co_await resolver.route(domain);
    told = route ? (*route)->site : route.error().enhanced;
    if (route) {
        for (const MxHost& host : (*route)->hosts) {
            const auto endpoints = co_await resolver.addresses(host.name, 2525);
            if (!endpoints) told += " " + endpoints.error().enhanced;
            for (size_t i = 0; endpoints && i < endpoints->size(); ++i)
                told += " " + (*endpoints)[i].address.to_string();
        }
    }
    co_await client.stop();
}

std::string describe(const Dnsmasq& server, const std::string& domain) {
    const auto reactor = UringReactor::create().value();
    const auto client = CaresClient::create(*reactor, {.servers = {server.address()}}).value();
    Resolver resolver(*reactor, *client,
                      {.allow_addresses = {"127.60.0.0/16"}, .own_name = "out1.test"});
    std::string told;
    Scope scope;
    scope.spawn(describe_route(resolver, *client, domain, told));
    const Instant deadline = reactor->now() + 30s;
    while (scope.running() > 0 && reactor->now() < deadline) reactor->turn(deadline);
    EXPECT_EQ(scope.running(), 0u);
    return told;
}

}  // namespace

TEST(RealDns, RoutesDomainsByTheRules) {
    const Dnsmasq server(
        {"--local=/test/", "--mx-host=two.test,mx1.two.test,10",
         "--mx-host=two.test,mx2.two.test,20", "--host-record=mx1.two.test,127.60.0.1",
         "--host-record=mx2.two.test,127.60.0.2", "--host-record=plain.test,127.60.0.3",
         "--dns-rr=null.test,15,000000", "--mx-host=evil.test,mx.evil.test,10",
         "--host-record=mx.evil.test,127.0.0.1", "--mx-host=gone.test,mx.nowhere.test,10",
         "--host-record=gone.test,127.60.0.4", "--mx-host=loop.test,out1.test,10"});
    EXPECT_EQ(describe(server, "two.test"),
              "mx1.two.test+mx2.two.test 127.60.0.1:2525 127.60.0.2:2525");
    EXPECT_EQ(describe(server, "plain.test"), "plain.test 127.60.0.3:2525");
    EXPECT_EQ(describe(server, "null.test"), "5.1.10");
    EXPECT_EQ(describe(server, "nowhere.test"), "5.1.2");
    EXPECT_EQ(describe(server, "evil.test"), "mx.evil.test 5.4.4");
    EXPECT_EQ(describe(server, "gone.test"), "mx.nowhere.test 5.4.4");
    EXPECT_EQ(describe(server, "loop.test"), "5.4.6");
    EXPECT_EQ(describe(server, "outside.example"), "4.4.3");  // dnsmasq answers REFUSED
}

}  // namespace engine
