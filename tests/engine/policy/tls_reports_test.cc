// Counts of TLS reports over the store: added up over shards, starts and policies, dropped in time.
#include "engine/policy/tls_reports.h"

#include <gmock/gmock.h>

#include "engine/reactor/scope.h"
#include "tests/engine/reactor/support/inline_worker.h"
#include "tests/storage/support/records.h"

namespace engine {

namespace {

using namespace std::chrono_literals;
using std::chrono::November;
using testing::IsEmpty;
using testing::SizeIs;

constexpr ReportDay day{2026y / November / 22};

class TestClock final : public Clock {
  public:
    Instant now() const override { return Instant{}; }
    WallTime wall() const override { return time; }
    WallTime time = day + 12h;
};

class TlsReportsTest : public testing::Test {
  protected:
    TlsReports reports(ShardId shard) { return TlsReports({clock, worker, *store, shard}); }
    void flush(TlsReports& of) { scope.spawn(of.flush()); }
    TlsDomainCounts counts(ReportDay of, const std::string& domain = {}) {
        return tls_counts_of(*store, of, domain).value();
    }

    storage::tests::TemporaryStore store;
    TestClock clock;
    InlineWorker worker;
    Scope scope;
};

}  // namespace

TEST_F(TlsReportsTest, AddUpWhatShardsCounted) {
    TlsReports one = reports(0), two = reports(1);
    one.count("x.test", {}, "mx", "ip");
    flush(one);
    one.count("x.test", {}, "mx", "ip");
    one.count("y.test", {}, "mx", "ip");
    two.count("x.test", {.result = "certificate-expired"}, "mx", "ip");
    flush(one), flush(two);
    const auto found = counts(day);
    ASSERT_THAT(found, SizeIs(2));
    ASSERT_THAT(found.at("x.test"), SizeIs(1));
    EXPECT_EQ(found.at("x.test")[0].successes, 2u);
    EXPECT_EQ(found.at("x.test")[0].failed(), 1u);
    EXPECT_THAT(counts(day, "y.test"), SizeIs(1));
    EXPECT_THAT(counts(day, "test"), IsEmpty());
}

TEST_F(TlsReportsTest, KeepPoliciesAndDaysApart) {
    TlsReports one = reports(0);
    const auto policy = std::make_shared<const StsPolicy>(
        StsPolicy{.mode = StsPolicy::Mode::enforce, .mx = {"mx.x.test"}});
    one.count("x.test", {.type = TlsFinding::Type::sts, .policy = policy}, "mx", "ip");
    one.count("x.test", {.type = TlsFinding::Type::tlsa}, "mx", "ip");
    clock.time += 12h;
    one.count("x.test", {.type = TlsFinding::Type::tlsa}, "mx", "ip");
    flush(one);
    EXPECT_THAT(counts(day).at("x.test"), SizeIs(2));
    EXPECT_THAT(counts(day + std::chrono::days(1)).at("x.test"), SizeIs(1));
}

TEST_F(TlsReportsTest, AreDroppedAfterAMonth) {
    TlsReports one = reports(0);
    one.count("x.test", {}, "mx", "ip");
    flush(one);
    clock.time += std::chrono::days(30);
    scope.spawn(one.forget());
    EXPECT_THAT(counts(day), SizeIs(1));
    clock.time += std::chrono::days(1);
    scope.spawn(one.forget());
    EXPECT_THAT(counts(day), IsEmpty());
}

TEST_F(TlsReportsTest, AreBounded) {
    TlsReports one = reports(0);
    for (size_t i = 0; i < TlsReports::rows_max + 10; ++i)
        one.count("d" + std::to_string(i) + ".test", {}, "mx", "ip");
    flush(one);
    EXPECT_THAT(counts(day), SizeIs(TlsReports::rows_max));
}

TEST(ReportDay, IsReadAsItIsWritten) {
    EXPECT_EQ(parse_report_day("2026-11-22"), day);
    EXPECT_EQ(to_string(day), "2026-11-22");
    for (const char* text : {"", "2026-11-31", "2026-13-01", "2026-1-01", "2026-11-22T",
                             "x026-11-22", "2026/11/22", "2026-00-01", "-026-11-22"})
        EXPECT_EQ(parse_report_day(text), std::nullopt) << text;
}

}  // namespace engine
