// The rules of RFC 7672 and RFC 8461 as tables: which demand comes of which records and policies.
#include "engine/policy/host_demand.h"

#include <gmock/gmock.h>

namespace engine {

namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Found = HostTlsa::Found;

const std::string sha256(32, 'd'), sha512(64, 'd');

Route route_of(std::vector<std::string> names) {
    Route route;
    for (std::string& name : names) route.hosts.push_back({10, std::move(name), 25});
    return route;
}

StsPolicy enforced(std::vector<std::string> mx) {
    return {.mode = StsPolicy::Mode::enforce, .mx = std::move(mx)};
}

HostTlsa records(std::vector<TlsaRecord> tlsa, std::string base = "mx.test") {
    return {.found = Found::records, .records = std::move(tlsa), .base = std::move(base)};
}

const TlsDemand opportunistic{};
const TlsDemand never{.use = TlsDemand::Use::never};

}  // namespace

TEST(Dane, UsesTheRecordsThatMailMayUse) {
    for (const uint8_t usage : {2, 3})
        for (const uint8_t selector : {0, 1}) {
            EXPECT_TRUE(is_usable({usage, selector, 0, "whole"}));
            EXPECT_TRUE(is_usable({usage, selector, 1, sha256}));
            EXPECT_TRUE(is_usable({usage, selector, 2, sha512}));
        }
    for (const TlsaRecord& record : std::vector<TlsaRecord>{{0, 1, 1, sha256},
                                                            {1, 1, 1, sha256},
                                                            {4, 1, 1, sha256},
                                                            {255, 1, 1, sha256},
                                                            {3, 2, 1, sha256},
                                                            {3, 255, 1, sha256},
                                                            {3, 1, 3, sha256},
                                                            {3, 1, 255, sha256},
                                                            {3, 1, 0, ""},
                                                            {3, 1, 1, ""},
                                                            {3, 1, 1, sha512},
                                                            {3, 1, 2, sha256}})
        EXPECT_FALSE(is_usable(record))
            << int{record.usage} << int{record.selector} << int{record.matching};
}

TEST(Dane, UsableRecordsDemandACertificateThatMatches) {
    const auto demand =
        with_dane(opportunistic, "mx.test", records({{3, 1, 1, sha256}, {1, 1, 1, sha256}}));
    EXPECT_EQ(demand.least, TlsLevel::dane);
    EXPECT_THAT(demand.tlsa, ElementsAre(TlsaRecord{3, 1, 1, sha256}));
    EXPECT_THAT(demand.names, IsEmpty());
    EXPECT_THAT(demand.policy, HasSubstr("DANE of mx.test"));
}

TEST(Dane, UnusableRecordsDemandEncryptionByWhomever) {
    const auto demand = with_dane(opportunistic, "mx.test", records({{1, 1, 1, sha256}}));
    EXPECT_EQ(demand.least, TlsLevel::encrypted);
    EXPECT_THAT(demand.tlsa, IsEmpty());
    EXPECT_THAT(demand.policy, HasSubstr("none of whose TLSA records can be used"));
}

TEST(Dane, UnusableRecordsDoNotWeakenWhatIsDemandedAnyway) {
    const TlsDemand verified{.least = TlsLevel::verified, .policy = "MTA-STS"};
    const auto demand = with_dane(verified, "mx.test", records({{1, 1, 1, sha256}}));
    EXPECT_EQ(demand.least, TlsLevel::verified);
    EXPECT_EQ(demand.policy, "MTA-STS");
    EXPECT_TRUE(demand.tlsa_unusable);
}

TEST(Dane, NothingFoundChangesNothing) {
    EXPECT_EQ(with_dane(opportunistic, "mx.test", {}), opportunistic);
    EXPECT_EQ(with_dane(never, "mx.test", records({{3, 1, 1, sha256}})), never);
}

TEST(Dane, TheCertificateMayBearTheNameThatTheCnamesLeadTo) {
    const auto demand =
        with_dane(opportunistic, "mx.test", records({{2, 0, 1, sha256}}, "real.test"));
    EXPECT_THAT(demand.names, ElementsAre("real.test"));
}

TEST(Dane, GoesBeforeMtaSts) {
    const TlsDemand sts =
        with_sts(opportunistic, enforced({"other.test"}), route_of({"mx.test", "other.test"}));
    ASSERT_FALSE(may_go_to(sts, "mx.test"));
    const TlsDemand demand = with_dane(sts, "mx.test", records({{3, 1, 1, sha256}}));
    EXPECT_TRUE(may_go_to(demand, "mx.test"));
    EXPECT_EQ(demand.least, TlsLevel::dane);
}

TEST(MtaSts, EnforceDemandsAValidCertificateOfAHostThatItNames) {
    const auto demand = with_sts(opportunistic, enforced({"*.x.test"}),
                                 route_of({"mx1.x.test", "elsewhere.test", "mx2.x.test"}));
    EXPECT_EQ(demand.least, TlsLevel::verified);
    EXPECT_THAT(demand.hosts, ElementsAre("mx1.x.test", "mx2.x.test"));
    EXPECT_EQ(demand.policy, "MTA-STS");
}

TEST(MtaSts, DomainsOfOneSiteWhosePoliciesNameAllOfItShareTheirDemand) {
    const Route route = route_of({"mx1.x.test", "mx2.x.test"});
    EXPECT_EQ(with_sts(opportunistic, enforced({"*.x.test"}), route),
              with_sts(opportunistic, enforced({"mx2.x.test", "mx1.x.test"}), route));
}

TEST(MtaSts, MailWaitsWhenThePolicyNamesNoneOfTheHosts) {
    const auto demand = with_sts(opportunistic, enforced({"mx.y.test"}), route_of({"mx.x.test"}));
    EXPECT_FALSE(may_go_to(demand, "mx.x.test"));
}

TEST(MtaSts, TestingAndNoneDemandNothing) {
    for (const auto mode : {StsPolicy::Mode::testing, StsPolicy::Mode::none})
        EXPECT_EQ(with_sts(opportunistic, {.mode = mode, .mx = {"y.test"}}, route_of({"x.test"})),
                  opportunistic);
}

TEST(MtaSts, LeavesWhatTheOperatorHasTurnedOff) {
    EXPECT_EQ(with_sts(never, enforced({"x.test"}), route_of({"x.test"})), never);
}

}  // namespace engine
