// What DNSSEC vouches for: which TLSA records of a host count (RFC 7672), and what a failed look-up
// of them means.
#include <gmock/gmock.h>

#include "engine/dns/resolver.h"
#include "engine/reactor/scope.h"
#include "tests/engine/dns/support/fake_reactor.h"
#include "tests/engine/dns/support/zone_client.h"

namespace engine {

namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Found = HostTlsa::Found;
using Status = DnsAnswer::Status;
using Type = DnsClient::Type;

const TlsaRecord pinned{3, 1, 1, "digest"}, other{2, 0, 1, "another"};

Task<> ask_tlsa(Resolver& resolver, std::string host, std::vector<HostTlsa>& answers) {
    answers.push_back(co_await resolver.tlsa(std::move(host), 25));
}
Task<> ask_route(Resolver& resolver, std::string domain, bool& authenticated) {
    const auto route = co_await resolver.route(std::move(domain));
    EXPECT_TRUE(route);
    authenticated = route && (*route)->authenticated;
}
Task<> ask_texts(Resolver& resolver, std::string name, std::vector<Texts>& answers) {
    answers.push_back(co_await resolver.texts(std::move(name)));
}

enum class Signed : uint8_t { no, yes };

class SecureDnsTest : public testing::Test {
  protected:
    FakeReactor reactor;
    ZoneClient zone{reactor};
    Resolver resolver{reactor, zone, {.port = 25}};

    void address(const std::string& host, Signed is_signed, const std::string& canonical = {}) {
        for (const Type type : {Type::a, Type::aaaa}) {
            DnsAnswer answer{.status = type == Type::a ? Status::ok : Status::no_data,
                             .canonical = canonical.empty() ? host : canonical,
                             .authenticated = is_signed == Signed::yes,
                             .ttl_seconds = 300};
            if (type == Type::a)
                answer.addresses.push_back(SocketAddress::from_ip("203.0.113.1", 0).value());
            zone.set(host, type, answer);
        }
    }
    void tlsa(const std::string& base, Signed is_signed, std::vector<TlsaRecord> records) {
        zone.set("_25._tcp." + base, Type::tlsa,
                 {.status = Status::ok,
                  .tlsa = std::move(records),
                  .authenticated = is_signed == Signed::yes,
                  .ttl_seconds = 300});
    }
    HostTlsa tlsa_of(const std::string& host) {
        std::vector<HostTlsa> answers;
        Scope scope;
        scope.spawn(ask_tlsa(resolver, host, answers));
        reactor.run();
        return answers.at(0);
    }
};

}  // namespace

TEST_F(SecureDnsTest, GivesTheRecordsOfASignedHost) {
    address("mx.test", Signed::yes);
    tlsa("mx.test", Signed::yes, {pinned, other});
    const HostTlsa found = tlsa_of("MX.test.");
    EXPECT_EQ(found.found, Found::records);
    EXPECT_THAT(found.records, ElementsAre(pinned, other));
    EXPECT_EQ(found.base, "mx.test");
}

TEST_F(SecureDnsTest, AsksNothingAboutAHostThatIsNotSigned) {
    address("mx.test", Signed::no);
    tlsa("mx.test", Signed::yes, {pinned});
    EXPECT_EQ(tlsa_of("mx.test").found, Found::nothing);
    EXPECT_EQ(zone.asked("_25._tcp.mx.test", Type::tlsa), 0u);
}

TEST_F(SecureDnsTest, IgnoresRecordsThatAreNotSigned) {
    address("mx.test", Signed::yes);
    tlsa("mx.test", Signed::no, {pinned});
    const HostTlsa found = tlsa_of("mx.test");
    EXPECT_EQ(found.found, Found::nothing);
    EXPECT_THAT(found.records, IsEmpty());
}

TEST_F(SecureDnsTest, FailsWhenTheRecordsCannotBeHadAndAsksAgainSoon) {
    address("mx.test", Signed::yes);
    zone.broken("_25._tcp.mx.test", Type::tlsa);
    const HostTlsa failed = tlsa_of("mx.test");
    EXPECT_EQ(failed.found, Found::failed);
    EXPECT_THAT(failed.reason, HasSubstr("_25._tcp.mx.test could not be looked up: SERVFAIL"));
    tlsa("mx.test", Signed::yes, {pinned});
    EXPECT_EQ(tlsa_of("mx.test").found, Found::failed) << "known for ten seconds";
    reactor.advance(std::chrono::seconds(11));
    EXPECT_EQ(tlsa_of("mx.test").found, Found::records);
}

TEST_F(SecureDnsTest, LooksFirstWhereTheCnamesLead) {
    address("mx.test", Signed::yes, "real.test");
    tlsa("real.test", Signed::yes, {pinned});
    tlsa("mx.test", Signed::yes, {other});
    const HostTlsa found = tlsa_of("mx.test");
    EXPECT_THAT(found.records, ElementsAre(pinned));
    EXPECT_EQ(found.base, "real.test");
}

TEST_F(SecureDnsTest, LooksUnderItsOwnNameWhenTheTargetHasNone) {
    address("mx.test", Signed::yes, "real.test");
    tlsa("mx.test", Signed::yes, {other});
    EXPECT_EQ(tlsa_of("mx.test").base, "mx.test");
}

TEST_F(SecureDnsTest, TakesItsOwnNamesRecordsWhenOnlyTheCnameIsSigned) {
    address("mx.test", Signed::no, "cloud.example");
    zone.set("mx.test", Type::cname,
             {.status = Status::ok, .canonical = "cloud.example", .authenticated = true});
    tlsa("mx.test", Signed::yes, {pinned});
    tlsa("cloud.example", Signed::yes, {other});
    EXPECT_THAT(tlsa_of("mx.test").records, ElementsAre(pinned));
}

TEST_F(SecureDnsTest, FailsWhenItCannotTellWhetherACnameIsSigned) {
    address("mx.test", Signed::no, "cloud.example");
    zone.broken("mx.test", Type::cname);
    EXPECT_EQ(tlsa_of("mx.test").found, Found::failed);
}

TEST_F(SecureDnsTest, AnAddressFamilyThatFailsIsNoWayAroundIt) {
    address("mx.test", Signed::yes);
    zone.broken("mx.test", Type::aaaa);
    tlsa("mx.test", Signed::yes, {pinned});
    EXPECT_EQ(tlsa_of("mx.test").found, Found::records);
}

TEST_F(SecureDnsTest, ALiteralHasNoRecords) {
    EXPECT_EQ(tlsa_of("[203.0.113.1]").found, Found::nothing);
}

TEST_F(SecureDnsTest, ARouteSaysWhetherItsMailHostsAreSigned) {
    zone.set("signed.test", Type::mx,
             {.status = Status::ok, .mx = {{10, "mx.test"}}, .authenticated = true});
    zone.set("plain.test", Type::mx, {.status = Status::ok, .mx = {{10, "mx.test"}}});
    zone.set("none.test", Type::mx, {.status = Status::no_data, .authenticated = true});
    for (const auto& [domain, expected] :
         {std::pair{"signed.test", true}, {"plain.test", false}, {"none.test", true}}) {
        bool authenticated = !expected;
        Scope scope;
        scope.spawn(ask_route(resolver, domain, authenticated));
        reactor.run();
        EXPECT_EQ(authenticated, expected) << domain;
    }
}

TEST_F(SecureDnsTest, GivesTextsAndSaysWhenTheyCannotBeHad) {
    zone.set("_mta-sts.x.test", Type::txt,
             {.status = Status::ok, .texts = {"v=STSv1; id=1;"}, .ttl_seconds = 60});
    zone.broken("_mta-sts.y.test", Type::txt);
    std::vector<Texts> answers;
    Scope scope;
    for (const char* name : {"_mta-sts.x.test", "_mta-sts.y.test", "_mta-sts.z.test"})
        scope.spawn(ask_texts(resolver, name, answers));
    reactor.run();
    EXPECT_THAT(answers[0].value(), ElementsAre("v=STSv1; id=1;"));
    EXPECT_FALSE(answers[1]);
    EXPECT_THAT(answers[2].value(), IsEmpty());
}

}  // namespace engine
