#include "ingest/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "ingest/setting.h"

namespace ingest {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

Config good(std::string_view text) {
    auto config = parse_config(text, "t.toml");
    if (config) return std::move(*config);
    for (const auto& p : config.error()) ADD_FAILURE() << to_string(p);
    return {};
}

std::vector<std::string> problems(std::string_view text) {
    const auto config = parse_config(text, "t.toml");
    std::vector<std::string> lines;
    if (!config) {
        for (const auto& p : config.error()) lines.push_back(to_string(p));
    }
    return lines;
}

std::string problem(std::string_view text) {
    const auto all = problems(text);
    EXPECT_EQ(all.size(), 1) << testing::PrintToString(all);
    return all.empty() ? "" : all.front();
}

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

TEST(ConfigErrors, NameTheUnknownKeyAndTheOneThatWasMeant) {
    EXPECT_EQ(problem("[retry]\nexpire = \"1h\""),
              "t.toml:2:1: unknown key expire in [retry]; did you mean expires?");
    EXPECT_EQ(problem("[dellivery]\nport = 1"),
              "t.toml:1:2: unknown section [dellivery]; did you mean delivery?");
    EXPECT_THAT(problem("[[provider]]\nname=\"x\"\nmx_suffix=[\".x.y\"]\nrates=\"1/s\""),
                HasSubstr("did you mean rate?"));
    EXPECT_THAT(problem("[node]\nzzz = 1"), HasSubstr("known here: name, data_dir, log_dir, shards"));
}

TEST(ConfigErrors, NameTheSectionThatAKeyBelongsTo) {
    EXPECT_EQ(problem("expires = \"1h\""),
              "t.toml:1:1: unknown section [expires]; expires belongs in [retry]");
}

TEST(ConfigErrors, ComeAllAtOnceInTheOrderOfTheFile) {
    const auto all = problems(
        "[retry]\nexpires = \"soon\"\n[delivery]\nport = 0\nallow_addresses = [\"x\", "
        "\"10.0.0.0/33\"]\n"
        "[[domain]]\nroute = [\"relay\"]\n[node]\nname = \"out1\"\n");
    ASSERT_EQ(all.size(), 7) << testing::PrintToString(all);
    EXPECT_THAT(all[0], HasSubstr("t.toml:2:11: [retry] expires: \"soon\" is not a duration"));
    EXPECT_THAT(all[1], HasSubstr("t.toml:4:8: [delivery] port: 0 is out of bounds; 1 to 65535"));
    EXPECT_THAT(all[2], HasSubstr("\"x\" is no address and no network"));
    EXPECT_THAT(all[3], HasSubstr("\"10.0.0.0/33\""));
    EXPECT_THAT(all[4], HasSubstr("[[domain]] has no name"));
    EXPECT_THAT(all[5], HasSubstr("host:port"));
    EXPECT_THAT(all[6], HasSubstr("t.toml:9:8: [node] name: \"out1\" is no full host name"));
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

std::string file_with(const std::string& text, mode_t mode = 0600) {
    static int number = 0;
    std::string path = testing::TempDir() + "/sluice_secret." + std::to_string(getpid()) + "." +
                       std::to_string(++number);
    std::ofstream(path) << text;
    chmod(path.c_str(), mode);
    return path;
}

std::string relay(const std::string& more) {
    return "[[domain]]\nname = \"*\"\nroute = [\"smtps://relay.x.test:465\"]\n" + more;
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

TEST(ConfigErrors, SayWhatIsWrongWithALogIn) {
    const auto with = [](const std::string& path) {
        return problem(relay("auth_password_file = \"" + path + "\""));
    };
    EXPECT_THAT(with("/nowhere"), HasSubstr("cannot be read: No such file or directory"));
    EXPECT_THAT(with(file_with("")), HasSubstr("holds no password"));
    EXPECT_THAT(with(file_with("s3cret", 0604)), HasSubstr("mend it: chmod o-r"));
    EXPECT_THAT(problem(relay("auth_mechanisms = [\"NTLM\"]")),
                HasSubstr("write PLAIN, LOGIN, CRAM-MD5 or XOAUTH2"));
    EXPECT_THAT(problem(relay("auth_user = \"a b\"")), HasSubstr("is no name to log in with"));
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

TEST(ConfigErrors, NameWhatAKeyLacks) {
    const std::string full = "[[dkim]]\ndomain=\"x.test\"\nselector=\"s1\"\nkey=\"/k\"\n";
    EXPECT_THAT(problem(full + full), HasSubstr("t.toml:7:10: [[dkim]] s1.x.test is there twice"));
    EXPECT_THAT(problem(full + "signs=\"some\"\n"), HasSubstr("\"some\" is none of"));
    EXPECT_THAT(problem(full + "tenant=\"a b\"\n"), HasSubstr("no name of a tenant"));
    EXPECT_EQ(problems("[[dkim]]\nselector=\"s_\"\n").size(), 3u);
}

TEST(ConfigErrors, SayWhichKindAValueShouldBe) {
    EXPECT_EQ(problem("[delivery]\nport = \"25\""),
              "t.toml:2:8: [delivery] port: \"25\" is of another kind; write a whole number");
    EXPECT_THAT(problem("[delivery]\ndane = \"yes\""), HasSubstr("write true or false"));
    EXPECT_THAT(problem("[retry]\nexpires = 72"), HasSubstr("write a duration in quotes"));
    EXPECT_THAT(problem("[retry]\nschedule = \"1m\""), HasSubstr("write a list of durations"));
    EXPECT_THAT(problem("[retry]\nschedule = [1]"), HasSubstr("write a list of durations"));
    EXPECT_THAT(problem("[retry]\nschedule = []"), HasSubstr("at least one"));
    EXPECT_THAT(problem("[queue]\nmemory = 512"), HasSubstr("write a size in quotes"));
    EXPECT_THAT(problem("[delivery]\nrate = 5"), HasSubstr("write a rate in quotes"));
    EXPECT_THAT(problem("[listen]\nhttp = \"127.0.0.1:1\""), HasSubstr("write a list of texts"));
    EXPECT_THAT(problem("[listen]\nmetrics = []"), HasSubstr("write a text in quotes"));
}

TEST(ConfigErrors, SayWhichBoundsHold) {
    EXPECT_THAT(problem("[node]\nshards = 257"), HasSubstr("0 to 256"));
    EXPECT_THAT(problem("[node]\nshards = -1"), HasSubstr("0 to 256"));
    EXPECT_THAT(problem("[timeouts]\nfinal = \"1ms\""), HasSubstr("100ms to 1h"));
    EXPECT_THAT(problem("[queue]\nmemory = \"1KiB\""),
                HasSubstr("1KiB is out of bounds; 16MiB to 16TiB"));
    EXPECT_THAT(problem("[delivery]\nrate = \"0/s\""), HasSubstr("leave the key out"));
    EXPECT_THAT(problem("[queue]\nmemory = \"1GB\""), HasSubstr("is not a size"));
    EXPECT_THAT(problem("[delivery]\nrate = \"fast\""), HasSubstr("is not a rate"));
}

constexpr char tenants[] = R"(
[[tenant]]
name = "acme"
api_key_sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789ABCDEF"
[[credential]]
user = "acme-web"
tenant = "acme"
password_hash = "$6$rounds=1000$saltsalt$LAV5VE5Y7w1d73x1mFNspYWUpazfmwv2SoepNXNKJ/otop/Zok96Hr8Q13LEv0DRY/x8v0/crpIjl8NJSAqXV/"
)";
constexpr char tls[] = "[tls]\ncertificate = \"/c.pem\"\nkey = \"/k.pem\"\n";

TEST(ConfigErrors, RefuseListenersForStrangers) {
    EXPECT_THAT(problem("[listen]\nhttp = [\"0.0.0.0:8025\"]"),
                HasSubstr("is not loopback, and keys and mail would travel in the clear; write "
                          "tls:0.0.0.0:8025"));
    EXPECT_EQ(problem("[listen]\nsmtp = [\"192.0.2.1:587\"]"),
              "t.toml:2:1: \"192.0.2.1:587\" is not loopback, and nobody could log in there; set "
              "[tls] certificate and key and a [[credential]], or name your own hosts in "
              "smtp_trusted");
    EXPECT_THAT(problem("[listen]\nsmtp = [\"192.0.2.1:587\"]\n" + std::string(tls)),
                HasSubstr("nobody could log in there"));
    EXPECT_THAT(problem("[listen]\nsmtp = [\"192.0.2.1:587\"]\n" + std::string(tenants)),
                HasSubstr("nobody could log in there"));
    EXPECT_THAT(problem("[listen]\nsmtp = [\"tls:127.0.0.1:465\"]"),
                HasSubstr("\"tls:127.0.0.1:465\" needs a certificate; set [tls]"));
    EXPECT_THAT(problem("[listen]\nhttp = [\"tls:0.0.0.0:8443\"]\n" + std::string(tls)),
                HasSubstr("give a [[tenant]] an api_key_sha256"));
    EXPECT_THAT(problem("[listen]\nsmtp_trusted = [\"0.0.0.0/0\"]"), HasSubstr("open relay"));
    EXPECT_THAT(problem("[listen]\nsmtp_trusted = [\"::/0\"]"), HasSubstr("open relay"));
    EXPECT_THAT(problem("[listen]\nhttp = [\"localhost\"]"),
                HasSubstr("write ip:port, tls:ip:port or unix:/path"));
    EXPECT_THAT(problem("[listen]\nhttp = [\"unix:run/x\"]"), HasSubstr("begins with /"));
    EXPECT_THAT(problem("[listen]\nhttp = [\"unix:/" + std::string(200, 'x') + "\"]"),
                HasSubstr("choose a shorter one"));
    EXPECT_THAT(problem("[listen]\nmetrics = \"9125\""),
                HasSubstr("write ip:port, or \"\" for none"));
    good(
        "[listen]\nhttp = [\"[::1]:8025\", \"unix:/run/x.sock\"]\nsmtp = []\nmetrics = "
        "\"0.0.0.0:9125\"");
    good("[listen]\nsmtp = [\"0.0.0.0:25\"]\nsmtp_trusted = [\"10.0.0.0/8\"]");
}

TEST(Config, TakesListenersForStrangersWhoCanLogIn) {
    const Config config = good(
        "[listen]\nsmtp = [\"0.0.0.0:587\", \"tls:[::]:465\"]\nhttp = [\"tls:0.0.0.0:8443\"]\n" +
        std::string(tls) + tenants);
    EXPECT_EQ(config.tls.certificate, "/c.pem");
    ASSERT_EQ(config.tenants.size(), 1u);
    EXPECT_EQ(config.tenants[0].api_key_sha256.substr(0, 3), "\x01\x23\x45");
    ASSERT_EQ(config.credentials.size(), 1u);
    EXPECT_EQ(config.credentials[0].tenant, "acme");
    for (const auto& entry : config.effective) {
        EXPECT_THAT(entry.value, testing::Not(HasSubstr("LAV5VE5")));
        EXPECT_THAT(entry.value, testing::Not(HasSubstr("0123456789")));
    }
}

TEST(ConfigErrors, TellNobodyASecretInTheWrongPlace) {
    const std::string one = problem(
        "[[tenant]]\nname = \"acme\"\n[[credential]]\nuser = \"a\"\ntenant = \"acme\"\n"
        "password_hash = \"hunter2\"");
    EXPECT_THAT(one, HasSubstr("`sluice password` makes one"));
    EXPECT_THAT(one, testing::Not(HasSubstr("hunter2")));
    EXPECT_THAT(problem("[[tenant]]\nname = \"acme\"\napi_key_sha256 = \"hunter2\""),
                testing::Not(HasSubstr("hunter2")));
    EXPECT_THAT(problem("[[tenant]]\nname = \"acme\"\napi_key_sha256 = 31337"),
                testing::Not(HasSubstr("31337")));
}

TEST(ConfigErrors, LookAtWhatBelongsTogether) {
    EXPECT_EQ(problem("[tls]\ncertificate = \"/c.pem\""),
              "t.toml:2:1: [tls] certificate and key go together; set both");
    EXPECT_THAT(problem("[[credential]]\nuser = \"a\"\ntenant = \"acme\"\npassword_hash = "
                        "\"$6$saltsalt$LAV5VE5\""),
                HasSubstr("there is no [[tenant]] acme"));
    EXPECT_THAT(problem("[[credential]]\nuser = \"a\"\ntenant = \"b\""),
                HasSubstr("[[credential]] has no password_hash"));
    EXPECT_THAT(problem("[[tenant]]\nname = \"two words\""), HasSubstr("is no name of a tenant"));
}

TEST(ConfigErrors, ExplainNamesThatDoNotFit) {
    EXPECT_THAT(problem("[[domain]]\nname = \"bücher.test\""), HasSubstr("xn--"));
    EXPECT_THAT(problem("[[provider]]\nname = \"Big One\"\nmx_suffix = [\".x.y\"]"),
                HasSubstr("a-z, 0-9"));
    EXPECT_THAT(problem("[[provider]]\nname = \"x\"\nmx_suffix = [\"google.com\"]"),
                HasSubstr("write .google.com"));
    EXPECT_THAT(problem("[[domain]]\nname = \"a.test\"\nroute = [\"192.0.2.1:25\"]"),
                HasSubstr("in brackets"));
    EXPECT_THAT(problem("[dns]\nservers = [\"dns.example.com\"]"), HasSubstr("ip or ip:port"));
    EXPECT_THAT(problem("[node]\ndata_dir = \"\""), HasSubstr("is no path"));
}

TEST(ConfigErrors, PointOutEntriesThatAreThereTwice) {
    EXPECT_THAT(problem("[[domain]]\nname = \"a.test\"\n[[domain]]\nname = \"A.test\""),
                HasSubstr("t.toml:4:8: [[domain]] A.test is there twice"));
}

TEST(ConfigErrors, ExplainSectionsOfTheWrongForm) {
    EXPECT_THAT(problem("[provider]\nname = \"x\""),
                HasSubstr("write [[provider]] with two brackets"));
    EXPECT_THAT(problem("node = 3"), HasSubstr("node is a section"));
    EXPECT_THAT(problem("[[node]]\nname = \"a.b\""), HasSubstr("node is a section"));
}

TEST(ConfigErrors, GiveThePlaceWhereTheTextIsNoToml) {
    EXPECT_THAT(problem("[node]\nname = \"open\nx"), testing::StartsWith("t.toml:2:"));
    EXPECT_THAT(problem("[node]\nshards = 1\nshards = 2"), testing::StartsWith("t.toml:3:"));
    EXPECT_THAT(problem("\xff\xfe"), testing::StartsWith("t.toml:1:"));
}

TEST(ConfigErrors, SayThatAFileCannotBeRead) {
    const auto config = load_config("/nowhere/sluice.toml");
    ASSERT_FALSE(config.has_value());
    EXPECT_THAT(to_string(config.error().front()),
                HasSubstr("No such file or directory; give a readable file to --config"));
    EXPECT_FALSE(load_config("/").has_value());
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
