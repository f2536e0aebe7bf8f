// What is said of a configuration that is wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/ingest/support/config_texts.h"

namespace ingest {
namespace {

using namespace std::chrono_literals;
using test::file_with;
using test::good;
using test::problem;
using test::problems;
using test::relay;
using testing::HasSubstr;

TEST(ConfigErrors, NameTheUnknownKeyAndTheOneThatWasMeant) {
    EXPECT_EQ(problem("[retry]\nexpire = \"1h\""),
              "t.toml:2:1: unknown key expire in [retry]; did you mean expires?");
    EXPECT_EQ(problem("[dellivery]\nport = 1"),
              "t.toml:1:2: unknown section [dellivery]; did you mean delivery?");
    EXPECT_THAT(problem("[[provider]]\nname=\"x\"\nmx_suffix=[\".x.y\"]\nrates=\"1/s\""),
                HasSubstr("did you mean rate?"));
    EXPECT_THAT(problem("[node]\nzzz = 1"),
                HasSubstr("known here: name, data_dir, log_dir, shards"));
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

}  // namespace
}  // namespace ingest
