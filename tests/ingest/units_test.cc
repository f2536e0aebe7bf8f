#include "ingest/units.h"

#include <gtest/gtest.h>

namespace ingest {
namespace {

using namespace std::chrono_literals;

TEST(Units, ReadDurationsInEveryUnit) {
    EXPECT_EQ(parse_duration("250ms"), 250ms);
    EXPECT_EQ(parse_duration("30s"), 30s);
    EXPECT_EQ(parse_duration("5m"), 5min);
    EXPECT_EQ(parse_duration("2h"), 2h);
    EXPECT_EQ(parse_duration("3d"), 72h);
    EXPECT_EQ(parse_duration("0s"), 0s);
}

TEST(Units, RefuseWhatIsNoDurationAndSayHowToWriteOne) {
    for (const char* bad : {"", "s", "5", "5 s", "-5s", "+5s", "1.5h", "5x", "5S", "1h30m",
                            "99999999999999999999d", "9999999999d", "5s\n"}) {
        const auto parsed = parse_duration(bad);
        ASSERT_FALSE(parsed) << bad;
        EXPECT_NE(parsed.error().find("like 30s"), std::string::npos);
    }
}

TEST(Units, ReadSizesInBinaryUnitsOnly) {
    EXPECT_EQ(parse_size("0"), 0u);
    EXPECT_EQ(parse_size("512B"), 512u);
    EXPECT_EQ(parse_size("64KiB"), 65536u);
    EXPECT_EQ(parse_size("1GiB"), 1ull << 30);
    for (const char* bad : {"", "5", "5MB", "5kib", "KiB", "-1B", "17000000TiB", "1e3B"}) {
        EXPECT_FALSE(parse_size(bad)) << bad;
    }
}

TEST(Units, ReadRatesAsEventsPerSecond) {
    EXPECT_EQ(parse_rate("100/s"), 100);
    EXPECT_EQ(parse_rate("90/m"), 1.5);
    EXPECT_EQ(parse_rate("90/min"), 1.5);
    EXPECT_EQ(parse_rate("3600/h"), 1);
    EXPECT_EQ(parse_rate("43200/d"), 0.5);
    EXPECT_EQ(parse_rate("0.5/s"), 0.5);
    for (const char* bad :
         {"", "100", "/s", "inf/s", "nan/s", "1e3/s", "-1/s", "1/w", "1/s ", "1.2.3/s"}) {
        EXPECT_FALSE(parse_rate(bad)) << bad;
    }
}

TEST(Units, ReadTimesWithZonesAndFractions) {
    const auto ten = parse_time("2026-11-22T10:00:00Z");
    ASSERT_TRUE(ten);
    EXPECT_EQ(parse_time("2026-11-22T11:00:00+01:00"), ten);
    EXPECT_EQ(parse_time("2026-11-22T08:30:00-01:30"), ten);
    EXPECT_EQ(parse_time("2026-11-22t10:00:00.25z"), *ten + 250ms);
    EXPECT_EQ(parse_time("2026-11-22T10:00:00.123456789Z"), *ten + 123ms);
}

TEST(Units, RefuseTimesThatDoNotExistOrHaveNoZone) {
    for (const char* bad :
         {"", "2026-11-22", "2026-11-22T10:00:00", "2026-02-30T10:00:00Z", "2026-13-01T10:00:00Z",
          "2026-11-22 10:00:00Z", "2026-11-22T24:00:00Z", "2026-11-22T10:00:00.Z", "1e9",
          "2026-11-22T10:00:00Zx", "2026-11-22T10:00:00+1:00"}) {
        EXPECT_FALSE(parse_time(bad)) << bad;
    }
}

TEST(Units, WriteTimesWithMilliseconds) {
    EXPECT_EQ(format_time(*parse_time("2026-11-22T11:00:00.007+01:00")),
              "2026-11-22T10:00:00.007Z");
    EXPECT_EQ(format_time(storage::WallTime{}), "1970-01-01T00:00:00.000Z");
}

TEST(Units, WriteDurationsInTheLargestExactUnit) {
    EXPECT_EQ(format_duration(90s), "90s");
    EXPECT_EQ(format_duration(2h), "2h");
    EXPECT_EQ(format_duration(250ms), "250ms");
    EXPECT_EQ(format_duration(48h), "2d");
    EXPECT_EQ(format_duration(0ms), "0ms");
}

}  // namespace
}  // namespace ingest
