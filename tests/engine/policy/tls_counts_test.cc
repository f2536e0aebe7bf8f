// What TLS reports say (RFC 8460 4.3): which policy a session falls under, and what was wrong.
#include "engine/policy/tls_counts.h"

#include <gmock/gmock.h>

#include <random>

namespace engine {

namespace {

using testing::ElementsAre;
using testing::SizeIs;
using Type = TlsFinding::Type;
using Dane = ObservedTls::Dane;

ObservedTls session(TlsLevel level, TlsFailure failure = TlsFailure::none, Dane dane = Dane::none) {
    return {.number = 1, .level = level, .failure = failure, .dane = dane};
}

StsAnswer sts(StsPolicy::Mode mode) {
    return {.policy = std::make_shared<const StsPolicy>(
                StsPolicy{.mode = mode, .mx = {"*.x.test"}, .max_age = std::chrono::seconds(60)})};
}

/// "type result"
std::string finding(const ObservedTls& of, const StsAnswer& policy = {},
                    const std::string& mx = "mx.x.test") {
    const TlsFinding found = finding_of(of, policy, mx);
    return std::string(to_string(found.type)) + " " + std::string(found.result);
}

}  // namespace

TEST(TlsFinding, WithoutAnyPolicyEncryptionIsSuccess) {
    EXPECT_EQ(finding(session(TlsLevel::encrypted, TlsFailure::expired)), "no-policy-found ");
    EXPECT_EQ(finding(session(TlsLevel::plain, TlsFailure::not_offered)),
              "no-policy-found starttls-not-supported");
    EXPECT_EQ(finding(session(TlsLevel::plain)), "no-policy-found starttls-not-supported");
    EXPECT_EQ(finding(session(TlsLevel::plain, TlsFailure::handshake)),
              "no-policy-found validation-failure");
}

TEST(TlsFinding, APolicyInTestingModeIsJudgedLikeAnEnforcedOne) {
    for (const auto mode : {StsPolicy::Mode::testing, StsPolicy::Mode::enforce}) {
        EXPECT_EQ(finding(session(TlsLevel::verified), sts(mode)), "sts ");
        EXPECT_EQ(finding(session(TlsLevel::encrypted, TlsFailure::expired), sts(mode)),
                  "sts certificate-expired");
        EXPECT_EQ(finding(session(TlsLevel::encrypted, TlsFailure::wrong_name), sts(mode)),
                  "sts certificate-host-mismatch");
        EXPECT_EQ(finding(session(TlsLevel::encrypted, TlsFailure::not_trusted), sts(mode)),
                  "sts certificate-not-trusted");
        EXPECT_EQ(finding(session(TlsLevel::plain), sts(mode)), "sts starttls-not-supported");
        EXPECT_EQ(finding(session(TlsLevel::verified), sts(mode), "mx.y.test"),
                  "sts validation-failure")
            << "a host that the policy does not name";
    }
}

TEST(TlsFinding, APolicyThatIsNoneOrCouldNotBeHadIsToldApart) {
    EXPECT_EQ(finding(session(TlsLevel::encrypted), sts(StsPolicy::Mode::none)),
              "no-policy-found ");
    for (const char* miss : {"sts-policy-fetch-error", "sts-policy-invalid", "sts-webpki-invalid"})
        EXPECT_EQ(finding(session(TlsLevel::verified), {.miss = miss}), std::string("sts ") + miss);
}

TEST(TlsFinding, DaneGoesBeforeMtaSts) {
    const auto enforce = sts(StsPolicy::Mode::enforce);
    EXPECT_EQ(finding(session(TlsLevel::dane, TlsFailure::none, Dane::usable), enforce), "tlsa ");
    EXPECT_EQ(finding(session(TlsLevel::encrypted, TlsFailure::tlsa_mismatch, Dane::usable)),
              "tlsa validation-failure");
    EXPECT_EQ(finding(session(TlsLevel::encrypted, TlsFailure::none, Dane::unusable)),
              "tlsa tlsa-invalid");
    EXPECT_EQ(finding(session(TlsLevel::plain, TlsFailure::none, Dane::unknown)),
              "tlsa dnssec-invalid");
}

TEST(TlsCounts, AddUpByResultHostAndAddress) {
    TlsCounts counts, other;
    const TlsFinding good{}, bad{.result = "certificate-expired"};
    counts.add(good, "mx", "ip");
    counts.add(bad, "mx", "ip");
    counts.add(bad, "mx", "ip");
    other.add(bad, "mx", "ip");
    other.add(bad, "mx2", "ip");
    other.add(good, "mx", "ip");
    counts.add(other);
    EXPECT_EQ(counts.successes, 2u);
    EXPECT_EQ(counts.failed(), 4u);
    EXPECT_THAT(counts.failures,
                ElementsAre(TlsFailureCount{"certificate-expired", "mx", "ip", 3},
                            TlsFailureCount{"certificate-expired", "mx2", "ip", 1}));
}

TEST(TlsCounts, StayBoundedAndLoseNoSession) {
    TlsCounts counts;
    for (int i = 0; i < 1000; ++i)
        counts.add({.result = "validation-failure"}, "mx" + std::to_string(i), "ip");
    EXPECT_THAT(counts.failures, SizeIs(TlsCounts::failures_max + 1));
    EXPECT_EQ(counts.failed(), 1000u);
}

TEST(TlsCounts, AreReadBackAsTheyWereKeptAndSurviveEveryOctet) {
    TlsCounts counts{.type = Type::sts, .policy = {"version: STSv1"}, .mx = {"*.x.test"}};
    counts.add({}, "mx", "ip");
    for (int i = 0; i < 60; ++i)
        counts.add({.result = "sts-policy-invalid"}, "mx" + std::to_string(i), "192.0.2.1");
    const std::string whole = encode(counts);
    EXPECT_EQ(decode_tls_counts(whole), counts);
    for (size_t size = 0; size < whole.size(); ++size)
        EXPECT_FALSE(decode_tls_counts(whole.substr(0, size))) << size;
    std::mt19937_64 random(20261122);
    for (int round = 0; round < 10'000; ++round) {
        std::string bytes = whole;
        bytes[random() % bytes.size()] = static_cast<char>(random());
        decode_tls_counts(bytes);
    }
}

}  // namespace engine
