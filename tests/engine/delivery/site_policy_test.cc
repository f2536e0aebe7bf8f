#include "engine/delivery/site_policy.h"

#include <gtest/gtest.h>

#include "engine/delivery/explanation.h"
#include "engine/delivery/gate.h"

namespace engine {
namespace {

Route route(std::vector<std::string> hosts) {
    Route r{.site = "site"};
    for (std::string& host : hosts) r.hosts.push_back({.preference = 10, .name = std::move(host)});
    return r;
}

Settings settings() {
    Settings s;
    s.limits.connections = 20;
    s.providers = {{"google", {".google.com", ".googlemail.com"}, {.connections = 5}}};
    s.domains = {{"internal.example",
                  {"relay.example:2525", "[192.0.2.1]", "[192.0.2.2]:26"},
                  {.connections = 2}}};
    return s;
}

TEST(SitePolicy, AProviderIsKnownByAllItsHosts) {
    EXPECT_EQ(
        policy_for(settings(), "x.test", route({"a.google.com", "b.googlemail.com"})).provider,
        "google");
    EXPECT_EQ(policy_for(settings(), "x.test", route({"google.com"})).limits.connections, 5u);
    EXPECT_EQ(policy_for(settings(), "x.test", route({"a.google.com", "mx.evil.test"})).provider,
              "default");
    EXPECT_EQ(policy_for(settings(), "x.test", route({"notgoogle.com"})).limits.connections, 20u);
}

TEST(SitePolicy, ADomainWithSettingsIsASiteOfItsOwn) {
    const SitePolicy policy = policy_for(settings(), "internal.example", route({"a.google.com"}));
    EXPECT_EQ(policy.site, "domain:internal.example");
    EXPECT_EQ(policy.limits.connections, 2u);
}

TEST(SitePolicy, LayersLieOnEachOtherKeyByKey) {
    Settings s = settings();
    s.limits.rate_per_second = 100;
    s.providers[0].limits.messages_per_connection = 50;
    s.domains.push_back({.name = "x.test", .limits = {.connections = 2}});
    const SitePolicy policy = policy_for(s, "x.test", route({"a.google.com"}));
    EXPECT_EQ(policy.provider, "google");
    EXPECT_EQ(policy.limits.rate_per_second, 100);
    EXPECT_EQ(policy.limits.messages_per_connection, 50u);
    EXPECT_EQ(policy.limits.connections, 2u);
}

TEST(SitePolicy, SaysSectionBySectionWhatHolds) {
    Settings s = settings();
    s.providers[0].limits.messages_per_connection = 50;
    s.domains.push_back({.name = "x.test", .limits = {.connections = 2}});
    const Route to = route({"a.google.com"});
    const auto sections = limits_by_section(s, "x.test", to);
    ASSERT_EQ(sections.size(), 3u);
    EXPECT_EQ(sections[0].first, "[delivery]");
    EXPECT_EQ(sections[0].second.connections, 20u);
    EXPECT_EQ(sections[1].first, "[[provider]] google");
    EXPECT_EQ(sections[1].second.connections, 5u);
    EXPECT_EQ(sections[2].first, "[[domain]] x.test");
    EXPECT_EQ(sections[2].second, policy_for(s, "x.test", to).limits);
    EXPECT_EQ(suffix_of(s, to), ".google.com");
    EXPECT_EQ(suffix_of(s, route({"mx.evil.test"})), "");
}

TEST(SitePolicy, TheLongestSuffixThatFitsSaysWhoseHostsTheyAre) {
    Settings s = settings();
    s.providers.push_back({"workspace", {".smtp.google.com"}, {.connections = 7}});
    EXPECT_EQ(policy_for(s, "x.test", route({"a.smtp.google.com"})).provider, "workspace");
    EXPECT_EQ(policy_for(s, "x.test", route({"a.smtp.google.com", "b.google.com"})).provider,
              "google");
}

TEST(SitePolicy, AFixedRouteKeepsItsOrderAndPorts) {
    const auto fixed = fixed_route(settings().domains[0], 25);
    ASSERT_EQ(fixed->hosts.size(), 3u);
    EXPECT_EQ(fixed->hosts[0].name, "relay.example");
    EXPECT_EQ(fixed->hosts[0].port, 2525);
    EXPECT_EQ(fixed->hosts[1].name, "[192.0.2.1]");
    EXPECT_EQ(fixed->hosts[1].port, 25);
    EXPECT_EQ(fixed->hosts[2].port, 26);
}

TEST(Gate, RefusesByNameAndOpensAgain) {
    Settings s;
    s.free_disk_min = 100;
    s.queue_bytes_max = 1000;
    Gate gate;
    EXPECT_FALSE(gate.refusal());
    gate.observe(s, 99, 0, true);
    EXPECT_EQ(gate.refusal()->limit, "queue.free_disk_min");
    gate.observe(s, 100, 1001, true);
    EXPECT_EQ(gate.refusal()->limit, "queue.bytes_max");
    gate.observe(s, 100, 0, false);
    EXPECT_EQ(gate.refusal()->why, Refusal::Why::storage_failed);
    gate.observe(s, 100, 1000, true);
    EXPECT_FALSE(gate.refusal());
    gate.close_for_drain();
    EXPECT_EQ(gate.refusal()->why, Refusal::Why::draining);
}

}  // namespace
}  // namespace engine
