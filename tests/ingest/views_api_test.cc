// The lists of the API: queues, sites, providers, jobs, deliveries, configuration.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "ingest/deliveries_api.h"
#include "ingest/digest.h"
#include "storage/ids.h"
#include "tests/ingest/support/test_shard.h"

namespace ingest::test {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using Type = storage::Event::Type;

/// A job with an event of each of its recipients, as commits leave it.
void add_job(TestShard& shard, uint64_t id, std::string tenant, std::vector<std::string> to,
             Type then = Type::accepted) {
    storage::Batch batch;
    const storage::JobId job{id};
    batch.jobs.push_back({.id = job, .tenant = tenant, .campaign = "c", .content = "x"});
    for (const Type type : {Type::accepted, then}) {
        for (uint32_t index = 0; index < to.size(); ++index) {
            storage::Event event{
                .type = type, .time = shard.reactor.wall(), .delivery = {job, index}};
            event.tenant = tenant;
            event.to = to[index];
            batch.events.push_back(std::move(event));
        }
        if (then == Type::accepted) break;
    }
    batch.job_ends.push_back(job);
    const auto committed = shard.store->commit(std::span(&batch, 1), 0, 1);
    ASSERT_TRUE(committed);
    shard.feed.advance(committed->events_upto);
}

json get(TestShard& shard, std::string_view target) {
    const Reply reply = shard.request("GET", target);
    EXPECT_EQ(reply.status, 200) << reply.body;
    return json::parse(reply.body);
}

std::vector<std::string> names(const json& list, const char* member) {
    std::vector<std::string> out;
    for (const json& one : list) out.push_back(one[member]);
    return out;
}

engine::DomainQueues queues(uint64_t waiting, std::chrono::minutes age, TestShard& shard) {
    engine::DomainQueues one{.waiting = waiting, .queues = 1};
    one.ages[engine::age_place(age)] = waiting;
    one.oldest = shard.reactor.wall() - age;
    return one;
}

TEST(QueuesApi, ListsTheLongestOrTheOldestFirst) {
    TestShard shard;
    shard.node.overview.domains = {{"long.test", queues(900, 3min, shard)},
                                   {"old.test", queues(2, 100min, shard)},
                                   {"short.test", queues(1, 3min, shard)}};
    const json by_size = get(shard, "/v1/queues?limit=2");
    EXPECT_THAT(names(by_size["domains"], "domain"), ElementsAre("long.test", "old.test"));
    EXPECT_EQ(by_size["domains_count"], 3);
    EXPECT_EQ(by_size["waiting"], 903);
    EXPECT_EQ(by_size["ages"], json({901, 0, 0, 0, 0, 2, 0, 0, 0, 0}));
    EXPECT_EQ(by_size["domains"][1]["oldest_seconds"], 6000.0);
    const json by_age = get(shard, "/v1/queues?limit=1&sort=age&domain=old.test");
    EXPECT_THAT(names(by_age["domains"], "domain"), ElementsAre("old.test"));
    EXPECT_EQ(shard.node.asked_queues.domain, "old.test");
}

TEST(QueuesApi, CountsOnDiskWhatIsLongerThanMemory) {
    TestShard shard;
    storage::Batch batch;
    const storage::QueueId queue{7, 7};
    batch.jobs.push_back({.id = storage::JobId{5}, .tenant = "t", .content = "x"});
    for (uint32_t i = 0; i < 3; ++i)
        batch.puts.push_back(
            {.id = {storage::JobId{5}, i}, .queue = queue, .recipient = "a@x.test"});
    ASSERT_TRUE(shard.store->commit(std::span(&batch, 1), 0, 1));
    auto one = queues(1, 3min, shard);
    one.on_disk = {queue};
    shard.node.overview.domains = {{"x.test", one}};
    const json row = get(shard, "/v1/queues")["domains"][0];
    EXPECT_EQ(row["rows_on_disk"], 3);
    EXPECT_EQ(row["rows_on_disk_exact"], true);
}

TEST(SitesApi, TellsWhatHoldsASiteBackAndForHowLong) {
    TestShard shard;
    shard.node.known_sites = {{{.site = "mx.a.test",
                                .provider = "google",
                                .ready = 5,
                                .connections_max = 4,
                                .spread_ended = "a host complains",
                                .limit = "reply",
                                .limited_for = 1500ms}},
                              1};
    const json site = get(shard, "/v1/sites/mx.a.test");
    EXPECT_EQ(site["limit"], "reply");
    EXPECT_EQ(site["limited_for_seconds"], 1.5);
    EXPECT_EQ(site["connections_max"], 4);
    EXPECT_EQ(site["shards"], 1);
    EXPECT_EQ(site["spread_ended"], "a host complains");
    EXPECT_EQ(shard.node.asked_sites.site, "mx.a.test");
    EXPECT_EQ(get(shard, "/v1/sites?provider=google")["sites_count"], 1);
    EXPECT_EQ(shard.node.asked_sites.provider, "google");
    shard.node.known_sites = {};
    EXPECT_EQ(shard.request("GET", "/v1/sites/mx.a.test").status, 404);
}

TEST(ProvidersApi, ShowsThoseThatAreConfiguredWithTheirLimits) {
    TestShard shard;
    Config config;
    config.delivery.providers.push_back(
        {.name = "google", .mx_suffix = {".google.com"}, .limits = {.connections = 7}});
    shard.context->config = std::make_shared<const Config>(config);
    shard.node.known_providers["default"] = {.sites = 2, .limited = 1, .limits = {{"rate", 1}}};
    const json all = get(shard, "/v1/providers")["providers"];
    EXPECT_THAT(names(all, "provider"), ElementsAre("default", "google"));
    EXPECT_EQ(all[0]["limits"]["rate"], 1);
    EXPECT_EQ(all[0]["connections_max_per_site"], engine::Limits{}.connections);
    EXPECT_EQ(all[1]["connections_max_per_site"], 7);
}

TEST(JobsApi, ListsTheNewestFirstAndGoesOnWhereItStopped) {
    TestShard shard;
    for (const uint64_t id : {11, 12, 13}) add_job(shard, id, "t", {"a@x.test"});
    const json two = get(shard, "/v1/jobs?limit=2");
    const auto text = [](uint64_t id) { return storage::to_text(storage::JobId{id}); };
    EXPECT_THAT(names(two["jobs"], "job"), ElementsAre(text(13), text(12)));
    const json rest = get(shard, "/v1/jobs?before=" + two["before"].get<std::string>());
    EXPECT_THAT(names(rest["jobs"], "job"), ElementsAre(text(11)));
    EXPECT_FALSE(rest.contains("before"));
}

TEST(JobsApi, FiltersByStateAndSize) {
    TestShard shard;
    add_job(shard, 11, "t", {"a@x.test", "b@x.test", "c@x.test"});
    add_job(shard, 12, "t", {"a@x.test"});
    add_job(shard, 13, "t", {"a@x.test", "b@x.test"}, Type::delivered);
    EXPECT_EQ(get(shard, "/v1/jobs?state=finished")["jobs"].size(), 1u);
    EXPECT_EQ(get(shard, "/v1/jobs?state=finished")["jobs"][0]["delivered"], 2);
    EXPECT_EQ(get(shard, "/v1/jobs?recipients_min=2")["jobs"].size(), 2u);
    const json open = get(shard, "/v1/jobs?state=open&sort=open&limit=1")["jobs"];
    ASSERT_EQ(open.size(), 1u);
    EXPECT_EQ(open[0]["open"], 3);
}

TEST(DeliveriesApi, FindsThoseOfAnAddressTheNewestFirst) {
    TestShard shard;
    add_job(shard, 11, "t", {"a@x.test", "b@x.test"}, Type::delivered);
    add_job(shard, 12, "t", {"a@x.test"}, Type::bounced);
    const json found = get(shard, "/v1/deliveries?to=a@x.test");
    ASSERT_EQ(found["deliveries"].size(), 2u);
    EXPECT_EQ(found["deliveries"][0]["state"], "bounced");
    EXPECT_EQ(found["deliveries"][1]["state"], "delivered");
    EXPECT_FALSE(found.contains("before"));
    const json one = get(shard, "/v1/deliveries?to=a@x.test&limit=1");
    ASSERT_EQ(one["deliveries"].size(), 1u);
    const json next = get(
        shard, fmt::format("/v1/deliveries?to=a@x.test&before={}", one["before"].get<uint64_t>()));
    EXPECT_EQ(next["deliveries"].back()["state"], "delivered");
    EXPECT_EQ(get(shard, "/v1/deliveries?to=nobody@x.test")["deliveries"].size(), 0u);
    EXPECT_EQ(shard.request("GET", "/v1/deliveries").status, 422);
}

TEST(Events, SinceATimeLeavesOutWhatWasBefore) {
    TestShard shard;
    add_job(shard, 11, "t", {"old@x.test"});
    shard.reactor.advance(2h);
    add_job(shard, 12, "t", {"new@x.test"});
    const std::string body = shard.request("GET", "/v1/events?since=1h").body;
    EXPECT_THAT(body, HasSubstr("new@x.test"));
    EXPECT_THAT(body, testing::Not(HasSubstr("old@x.test")));
    EXPECT_EQ(shard.request("GET", "/v1/events?since=soon").status, 422);
}

// ---- who may see what

TEST(Views, ShowATenantItsOwnAndRefuseItTheNodes) {
    TestShard shard;
    shard.api_keys =
        ApiKeys({{.name = "t", .api_key_sha256 = plain_sha256("key")}}, plain_sha256("admin"));
    add_job(shard, 11, "t", {"a@x.test"});
    add_job(shard, 12, "other", {"a@x.test"});
    const auto as = [&](std::string_view key, std::string_view target) {
        return shard.request("GET", target, {}, {},
                             fmt::format("Authorization: Bearer {}\r\n", key));
    };
    EXPECT_EQ(json::parse(as("key", "/v1/jobs").body)["jobs"].size(), 1u);
    EXPECT_EQ(json::parse(as("key", "/v1/deliveries?to=a@x.test").body)["deliveries"].size(), 1u);
    EXPECT_EQ(as("key", "/v1/queues?tenant=other").status, 200);
    EXPECT_EQ(shard.node.asked_queues.tenant, "t");
    for (const char* target : {"/v1/sites", "/v1/sites/x", "/v1/providers", "/v1/config"})
        EXPECT_EQ(as("key", target).status, 403) << target;
    EXPECT_EQ(as("wrong", "/v1/jobs").status, 401);
    EXPECT_EQ(json::parse(as("admin", "/v1/jobs").body)["jobs"].size(), 2u);
    EXPECT_EQ(as("admin", "/v1/sites").status, 200);
}

TEST(Views, RefuseForeignPagesInAnOperatorsBrowser) {
    TestShard shard;
    const auto with = [&](std::string_view fields) {
        return shard.request("GET", "/v1/jobs", {}, {}, fields).status;
    };
    EXPECT_EQ(with("Sec-Fetch-Site: cross-site\r\n"), 403);
    EXPECT_EQ(with("Sec-Fetch-Site: same-site\r\n"), 403);
    EXPECT_EQ(with("Sec-Fetch-Site: same-origin\r\n"), 403) << "a name that leads here";
    EXPECT_EQ(with("Origin: http://evil.test\r\n"), 403);
    EXPECT_EQ(with(""), 200);
    EXPECT_EQ(shard.request("GET", "/healthz", {}, {}, "Sec-Fetch-Site: cross-site\r\n").status,
              200);
}

// ---- explanations

TEST(Explain, TellsEachLimitWithItsLineAndWhatItOverrode) {
    TestShard shard;
    engine::Explanation& said = shard.node.explanation;
    said.site = "mx.big.test";
    said.provider = "big";
    said.suffix = ".big.test";
    engine::Limits limits;
    said.limits.emplace_back("[delivery]", limits);
    limits.connections = 5;
    limits.origins.set(engine::LimitKey::connections, "sluice.toml:7");
    said.limits.emplace_back("[[provider]] big", limits);
    limits.connections = 2;
    limits.origins.set(engine::LimitKey::connections, "sluice.toml:20");
    said.sources.push_back({"cold", limits});
    engine::TotalLimits total{.per_day = 9000};
    total.origins[static_cast<size_t>(engine::TotalLimit::per_day)] = "sluice.toml:30";
    said.totals.emplace_back(engine::TotalKey{engine::TotalOf::provider, "big"}, total);
    said.hosts.push_back(
        {.host = {.preference = 10, .name = "mx.big.test"}, .addresses = {"192.0.2.1"}});
    shard.node.known_sites.sites.push_back(
        {.site = "mx.big.test", .limit = "rate", .limited_for = std::chrono::milliseconds(1500)});
    const json told = get(shard, "/v1/explain?domain=X.Test");
    EXPECT_EQ(shard.node.asked_domain, "x.test");
    EXPECT_EQ(shard.node.asked_sites.site, "mx.big.test");
    EXPECT_EQ(told["mx_suffix"], ".big.test");
    const json& connections = told["limits"][0];
    EXPECT_EQ(connections["limit"], "connections");
    EXPECT_EQ(connections["value"], "5");
    EXPECT_EQ(connections["section"], "[[provider]] big");
    EXPECT_EQ(connections["origin"], "sluice.toml:7");
    EXPECT_EQ(connections["overrode"][0]["value"], "20");
    EXPECT_EQ(connections["overrode"][0]["section"], "default");
    EXPECT_EQ(told["sources"], json::parse(R"([{"source": "cold", "limit": "connections",
        "value": "2", "origin": "sluice.toml:20"}])"));
    EXPECT_EQ(told["totals"], json::parse(R"([{"of": "provider", "name": "big",
        "limit": "total_per_day", "words": "provider big: 9000 messages a day in all",
        "origin": "sluice.toml:30"}])"));
    EXPECT_EQ(told["route"]["hosts"][0]["addresses"][0], "192.0.2.1");
    EXPECT_EQ(told["now"]["limited_for_seconds"], 1.5);
}

TEST(Explain, WantsADomain) {
    TestShard shard;
    EXPECT_EQ(shard.request("GET", "/v1/explain").status, 422);
    EXPECT_EQ(shard.request("GET", "/v1/explain?domain=a..b").status, 422);
}

// ---- configuration

TEST(Configuration, IsToldWithItsOriginsAndWithoutSecrets) {
    TestShard shard;
    const std::string hash(64, 'a');
    auto config = parse_config("[listen]\nadmin_key_sha256 = \"" + hash + "\"\n", "sluice.toml");
    ASSERT_TRUE(config);
    shard.context->config = std::make_shared<const Config>(std::move(*config));
    const json settings = get(shard, "/v1/config?name=listen.")["settings"];
    const auto key = std::ranges::find(settings, "listen.admin_key_sha256",
                                       [](const json& s) { return s["name"].get<std::string>(); });
    ASSERT_NE(key, settings.end());
    EXPECT_EQ((*key)["origin"], "sluice.toml:2");
    EXPECT_THAT(settings.dump(), testing::Not(HasSubstr(hash)));
}

}  // namespace
}  // namespace ingest::test
