#include "ingest/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "ingest/setting.h"
#include "tests/ingest/support/config_texts.h"

namespace ingest {
namespace {

using namespace std::chrono_literals;
using test::file_with;
using test::good;
using test::problem;
using test::relay;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(Config, TakesAnEmptyFileForTheDefaults) {
    const Config config = good("");
    EXPECT_EQ(config.data_dir, "/var/lib/sluice");
    EXPECT_EQ(config.shards, 0);
    EXPECT_THAT(config.listen.http, ElementsAre("unix:/run/sluice/ingest.sock", "127.0.0.1:8025"));
    EXPECT_THAT(config.listen.smtp, ElementsAre("127.0.0.1:2587"));
    EXPECT_EQ(config.listen.metrics, "127.0.0.1:9125");
    EXPECT_THAT(config.delivery.retry_schedule, ElementsAre(1min, 5min, 15min, 1h, 2h, 4h));
    EXPECT_THAT(config.warnings, ElementsAre());
}

// Code that makes an engine::Settings by itself (tests, tools) must not differ from what an
// operator gets.
TEST(Config, HasTheSameDefaultsAsTheEngine) {
    const engine::Settings got = good("").delivery;
    const engine::Settings wanted;
    EXPECT_EQ(got.port, wanted.port);
    EXPECT_EQ(got.limits, wanted.limits);
    EXPECT_EQ(got.timeouts.connect, wanted.timeouts.connect);
    EXPECT_EQ(got.timeouts.banner, wanted.timeouts.banner);
    EXPECT_EQ(got.timeouts.command, wanted.timeouts.command);
    EXPECT_EQ(got.timeouts.data, wanted.timeouts.data);
    EXPECT_EQ(got.timeouts.body, wanted.timeouts.body);
    EXPECT_EQ(got.timeouts.final, wanted.timeouts.final);
    EXPECT_EQ(got.limits.idle, wanted.limits.idle);
    EXPECT_EQ(got.expires, wanted.expires);
    EXPECT_EQ(got.memory_bytes, wanted.memory_bytes);
    EXPECT_EQ(got.queue_bytes_max, wanted.queue_bytes_max);
    EXPECT_EQ(got.free_disk_min, wanted.free_disk_min);
}

TEST(Config, ReadsEveryKind) {
    const Config config = good(R"(
        [node]
        name = "out1.example.com"
        shards = 3
        [dns]
        servers = ["127.0.0.1:53", "192.0.2.1", "[::1]:5353"]
        [delivery]
        port = 2525
        allow_addresses = ["127.60.0.0/15", "fd25::1"]
        rate = "5000/h"
        [timeouts]
        final = "20m"
        connect = "250ms"
        [retry]
        schedule = ["1s", "3d"]
        [queue]
        memory = "64MiB"
    )");
    EXPECT_EQ(config.delivery.node_name, "out1.example.com");
    EXPECT_EQ(config.shards, 3);
    EXPECT_THAT(config.dns_servers, ElementsAre("127.0.0.1:53", "192.0.2.1", "[::1]:5353"));
    EXPECT_EQ(config.delivery.port, 2525);
    EXPECT_THAT(config.delivery.allow_addresses, ElementsAre("127.60.0.0/15", "fd25::1"));
    EXPECT_DOUBLE_EQ(config.delivery.limits.rate_per_second, 5000.0 / 3600);
    EXPECT_EQ(config.delivery.timeouts.connect, 250ms);
    EXPECT_THAT(config.delivery.retry_schedule, ElementsAre(1s, 72h));
    EXPECT_EQ(config.delivery.memory_bytes, 64ull << 20);
}

TEST(Config, GivesProvidersAndDomainsTheLimitsThatTheyDoNotSet) {
    const Config config = good(R"(
        [[provider]]
        name = "google"
        mx_suffix = [".Google.com", ".googlemail.com"]
        connections = 5
        [[domain]]
        name = "Internal.Example.com"
        route = ["relay.example.com:2525", "[192.0.2.1]:25", "[2001:db8::1]:25"]
        rate = "10/s"
        [delivery]
        messages_per_connection = 7
    )");
    ASSERT_EQ(config.delivery.providers.size(), 1);
    const auto& google = config.delivery.providers[0];
    EXPECT_THAT(google.mx_suffix, ElementsAre(".google.com", ".googlemail.com"));
    engine::Limits limits = config.delivery.limits;
    google.limits.lie_on(limits);
    EXPECT_EQ(limits.connections, 5);
    EXPECT_EQ(limits.messages_per_connection, 7);
    EXPECT_EQ(limits.origin(engine::LimitKey::connections), "t.toml:5");
    EXPECT_EQ(limits.origin(engine::LimitKey::messages_per_connection), "t.toml:11");
    EXPECT_EQ(limits.origin(engine::LimitKey::rate), "") << "a default";
    ASSERT_EQ(config.delivery.domains.size(), 1);
    EXPECT_EQ(config.delivery.domains[0].name, "internal.example.com");
    EXPECT_EQ(config.delivery.domains[0].route.size(), 3);
    config.delivery.domains[0].limits.lie_on(limits);
    EXPECT_EQ(limits.connections, 5) << "of the layer below";
    EXPECT_EQ(limits.rate_per_second, 10);
    EXPECT_EQ(limits.origin(engine::LimitKey::rate), "t.toml:9");
}

TEST(Config, SaysWhereEachValueComesFrom) {
    const Config config =
        good("[retry]\nexpires = \"1h\"\n[[provider]]\nname = \"x\"\nmx_suffix = [\".x.test\"]\n");
    const auto origin = [&](const std::string& name) {
        for (const auto& e : config.effective) {
            if (e.name == name) return e.value + " from " + e.origin;
        }
        return std::string("nowhere");
    };
    EXPECT_THAT(origin("retry.expires"), HasSubstr("1h"));
    EXPECT_THAT(origin("retry.expires"), HasSubstr("from t.toml:2"));
    EXPECT_THAT(origin("queue.memory"), HasSubstr("from default"));
    EXPECT_THAT(origin("provider.x.mx_suffix"), HasSubstr("from t.toml:5"));
}

TEST(Config, TlsComesFromDeliveryUnlessAGroupOrADomainHasItsOwn) {
    const engine::Settings got = good(R"(
        [[provider]]
        name = "a"
        mx_suffix = [".a.test"]
        [[provider]]
        name = "b"
        mx_suffix = [".b.test"]
        tls = "none"
        [[domain]]
        name = "x.test"
        tls = "verified"
        [delivery]
        tls = "required"
        tls_min = "1.3"
        [timeouts]
        tls = "20s")")
                                     .delivery;
    EXPECT_EQ(got.limits.tls, engine::TlsPolicy::required);
    EXPECT_EQ(got.providers[0].limits.tls, std::nullopt) << "that of the layer below";
    EXPECT_EQ(got.providers[1].limits.tls, engine::TlsPolicy::none);
    EXPECT_EQ(got.domains[0].limits.tls, engine::TlsPolicy::verified);
    EXPECT_EQ(got.tls_least, engine::TlsVersion::tls13);
    EXPECT_EQ(got.timeouts.tls, 20s);
    EXPECT_THAT(problem("[delivery]\ntls = \"maybe\""),
                HasSubstr("write none, opportunistic, required or verified"));
    EXPECT_THAT(problem("[delivery]\ntls_min = \"1.1\""), HasSubstr("write 1.2 or 1.3"));
}

TEST(Config, RelayForAllOthersMayNeedALogIn) {
    const std::string password = file_with("s3cret\r\nnot this\n");
    const auto log_in = "auth_user = \"ann@x.test\"\nauth_password_file = \"" + password + "\"\n";
    const Config config = good(relay(log_in));
    const engine::DomainSettings& domain = config.delivery.domains.at(0);
    EXPECT_EQ(domain.limits.tls, engine::TlsPolicy::verified) << "a password needs the right host";
    EXPECT_EQ(domain.credentials->user, "ann@x.test");
    EXPECT_EQ(domain.credentials->password.reveal(), "s3cret");
    EXPECT_EQ(domain.credentials->mechanisms, 2 | 4 | 8) << "no XOAUTH2 with a password";
    EXPECT_THAT(config.warnings, ElementsAre());
    for (const auto& line : config.effective) EXPECT_FALSE(line.value.contains("s3cret"));

    const Config looser =
        good(relay(log_in + "tls = \"required\"\nauth_mechanisms = [\"XOAUTH2\"]"));
    EXPECT_EQ(looser.delivery.domains.at(0).limits.tls, engine::TlsPolicy::required);
    EXPECT_EQ(looser.delivery.domains.at(0).credentials->mechanisms, 1);
    EXPECT_THAT(good(relay(log_in + "tls = \"none\"")).warnings,
                ElementsAre(HasSubstr("the password goes in plaintext")));
    EXPECT_THAT(good(relay("auth_user = \"ann\"")).warnings,
                ElementsAre(HasSubstr("needs both auth_user and auth_password_file")));
    EXPECT_THAT(good("[[domain]]\nname = \"*\"").warnings,
                ElementsAre(HasSubstr("without a route it means nothing")));
}

TEST(Config, ReadsSourcesAndPools) {
    const Config none = good("");
    EXPECT_EQ(none.delivery.pool_of("default").sources.size(), 1) << "the system's choice";
    const std::string sources = R"(
        [[source]]
        name = "ip1"
        address = "192.0.2.10"
        ehlo = "out1.example.com"
        [[source]]
        name = "ip2"
        address = "2001:db8::2"
        weight = 3
    )";
    const Config config = good(sources + "[[pool]]\nname = \"news\"\nsources = [\"ip2\"]\n");
    ASSERT_EQ(config.delivery.sources.size(), 2);
    EXPECT_EQ(config.delivery.sources[0].address->ip(), "192.0.2.10");
    EXPECT_EQ(config.delivery.sources[1].weight, 3);
    EXPECT_THAT(config.delivery.pool_of("default").sources, ElementsAre(0, 1)) << "all of them";
    EXPECT_THAT(config.delivery.pool_of("news").sources, ElementsAre(1));
    EXPECT_EQ(config.delivery.find_pool("other"), nullptr);
    EXPECT_THAT(problem(sources + "[[pool]]\nname = \"news\"\nsources = [\"ip3\"]\n"),
                HasSubstr("t.toml:12:1: [[pool]] news: there is no [[source]] ip3"));
    EXPECT_THAT(problem("[[source]]\nname = \"x\"\naddress = \"localhost\""),
                HasSubstr("is no address"));
}

TEST(Config, ReadsTotalsOfProvidersSourcesAndPoolsWithTheirPlaces) {
    const Config config = good(R"(
        [[provider]]
        name = "google"
        mx_suffix = [".google.com"]
        connections = 5
        total_connections = 20
        total_rate = "90/min"
        [[source]]
        name = "ip1"
        total_connection_rate = "10/s"
        total_per_day = 50000
        [[pool]]
        name = "news"
        sources = ["ip1"]
        total_per_hour = 3000
    )");
    using engine::TotalLimit;
    const engine::TotalLimits& google = config.delivery.providers.at(0).total;
    EXPECT_EQ(google.connections, 20);
    EXPECT_EQ(google.rate_per_second, 1.5);
    EXPECT_EQ(google.origin(TotalLimit::rate), "t.toml:7");
    EXPECT_EQ(google.origin(TotalLimit::per_day), "") << "not set";
    EXPECT_EQ(engine::words_of({engine::TotalOf::provider, "google"}, google, TotalLimit::rate),
              "provider google: 90/min messages in all");
    const engine::TotalLimits& source = config.delivery.sources.at(0).total;
    EXPECT_EQ(source.connection_rate_per_second, 10);
    EXPECT_EQ(source.per_day, 50'000);
    EXPECT_EQ(config.delivery.pool_of("news").total.per_hour, 3000);
    EXPECT_EQ(config.delivery.pool_of("news").total.origin(TotalLimit::per_hour), "t.toml:15");
    EXPECT_FALSE(config.delivery.pool_of("default").total.any());
}

TEST(Config, RefusesTotalsThatMeanNothing) {
    const std::string source = "[[source]]\nname = \"ip1\"\n";
    EXPECT_THAT(problem(source + "total_connections = 0"), HasSubstr("0 is out of bounds; 1 to"));
    EXPECT_THAT(problem(source + "total_rate = \"100\""), HasSubstr("is not a rate"));
    EXPECT_THAT(problem(source + "total_conections = 5"),
                HasSubstr("did you mean total_connections?"));
    EXPECT_THAT(problem("[delivery]\ntotal_connections = 5"),
                HasSubstr("unknown key total_connections in [delivery]"));
}

TEST(Config, LetsEntriesChangeThoseOfAFileOfProvidersKeyByKey) {
    const std::string file = file_with(
        "[[provider]]\nname = \"google\"\nmx_suffix = [\".google.com\"]\n"
        "connections = 5\nrate = \"10/s\"\n");
    const Config config = good("[delivery]\nprovider_files = [\"" + file +
                               "\"]\n[[provider]]\nname = \"google\"\nrate = \"20/s\"\n");
    ASSERT_EQ(config.delivery.providers.size(), 1);
    const engine::LimitLayer& limits = config.delivery.providers[0].limits;
    EXPECT_EQ(limits.connections, 5);
    EXPECT_EQ(limits.rate_per_second, 20);
    EXPECT_EQ(limits.origins[static_cast<size_t>(engine::LimitKey::connections)], file + ":4");
    EXPECT_THAT(problem("[delivery]\nprovider_files = [\"/nowhere.toml\"]"),
                HasSubstr("provider_files names it"));
    std::ofstream(file) << "[delivery]\nrate = \"1/s\"\n";
    EXPECT_THAT(problem("[delivery]\nprovider_files = [\"" + file + "\"]"),
                HasSubstr("only [[provider]], [[domain]] and [[automation]] belong there"));
}

TEST(Config, ReadsTheFilesOfProvidersThatItShips) {
    const Config config = good("[delivery]\nprovider_files = [\"" SLUICE_SOURCE_DIR
                               "/deploy/providers/consumer.toml\"]\n");
    EXPECT_GE(config.delivery.providers.size(), 8);
    for (const engine::AutomationRule& rule : config.delivery.automation) {
        const auto named =
            std::ranges::find(config.delivery.providers, rule.provider, &engine::Provider::name);
        EXPECT_NE(named, config.delivery.providers.end()) << rule.name;
    }
}

TEST(Config, ReadsWarmupAndAutomation) {
    const Config config = good(R"(
        [[source]]
        name = "new"
        warmup_begins = "2026-11-22"
        warmup = "50 100"
        [[automation]]
        name = "listed"
        match = "block ?list"
        count = 3
        action = "suspend"
        duration = "2h"
    )");
    EXPECT_THAT(config.delivery.sources.at(0).warmup->messages, ElementsAre(50, 100));
    const engine::AutomationRule& rule = config.delivery.automation.at(0);
    EXPECT_EQ(rule.action, engine::AutomationRule::Action::suspend);
    EXPECT_EQ(rule.count, 3);
    EXPECT_EQ(rule.duration, 2h);
    EXPECT_EQ(rule.origin, "t.toml:6");
    EXPECT_THAT(problem("[[automation]]\nname = \"x\"\naction = \"slow\""),
                HasSubstr("has neither class nor match"));
    EXPECT_THAT(problem("[[source]]\nname = \"x\"\nwarmup = \"1 2\""),
                HasSubstr("warmup and warmup_begins go together"));
    EXPECT_THAT(
        problem("[[source]]\nname = \"x\"\nwarmup = \"1, 2\"\nwarmup_begins = \"2026-11-22\""),
        HasSubstr("with a blank between"));
}

TEST(Config, GivesTenantsTheirWeights) {
    const Config config = good("[[tenant]]\nname = \"a\"\nweight = 3\n[[tenant]]\nname = \"b\"\n");
    EXPECT_EQ(config.delivery.weight_of("a"), 3);
    EXPECT_EQ(config.delivery.weight_of("b"), 1);
    EXPECT_EQ(config.delivery.weight_of("unknown"), 1);
    EXPECT_THAT(problem("[[tenant]]\nname = \"a\"\nweight = 0"), HasSubstr("1 to 1000"));
}

TEST(Config, ReadsSeveralKeysOfADomain) {
    const Config config = good(
        "[[dkim]]\ndomain=\"X.test\"\nselector=\"S1\"\nkey=\"/k/1.pem\"\n"
        "[[dkim]]\ndomain=\"x.test\"\nselector=\"s2\"\nkey=\"/k/2.pem\"\nsigns=\"subdomains\"\n"
        "[[dkim]]\ndomain=\"x.test\"\nselector=\"s2\"\nkey=\"/k/3.pem\"\nsigns=\"all\"\n"
        "tenant=\"acme\"\n");
    using enum engine::DkimEntry::Signs;
    EXPECT_THAT(config.dkim,
                ElementsAre(engine::DkimEntry{"x.test", "s1", "/k/1.pem", "", own},
                            engine::DkimEntry{"x.test", "s2", "/k/2.pem", "", subdomains},
                            engine::DkimEntry{"x.test", "s2", "/k/3.pem", "acme", all}));
}

TEST(Config, WarnsOfWhatIsLegalAndProbablyNotMeant) {
    EXPECT_THAT(good("[timeouts]\nfinal = \"1m\"").warnings,
                ElementsAre(HasSubstr("gets the mail twice")));
    EXPECT_THAT(good("[listen]\nhttp = []\nsmtp = []").warnings,
                ElementsAre(HasSubstr("no mail can come in")));
}

TEST(Settings, AreAllDescribed) {
    for (const Setting& s : settings()) {
        EXPECT_GT(s.help.size(), 10) << s.key;
        EXPECT_NE(s.set, nullptr) << s.key;
        EXPECT_LE(s.bounds.least, s.bounds.most) << s.key;
    }
}

}  // namespace
}  // namespace ingest
