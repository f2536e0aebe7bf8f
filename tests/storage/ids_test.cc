#include "storage/ids.h"

#include <gtest/gtest.h>

namespace storage {
namespace {

TEST(JobIds, SurviveTheirTextForm) {
    const DeliveryId id{JobId{0xfedcba9876543210}, 4294967295};
    EXPECT_EQ(to_text(id.job).size(), 13u);
    EXPECT_EQ(parse_job_id(to_text(id.job)), id.job);
    EXPECT_EQ(parse_delivery_id(to_text(id)), id);
}

TEST(JobIds, RefuseWhatIsNoId) {
    for (const char* text :
         {"", "0", "00000000000000", "0000000000-1", "U000000000000", "Z000000000000"})
        EXPECT_FALSE(parse_job_id(text)) << text;
    for (const char* text :
         {"0000000000001", "0000000000001-", "0000000000001-x", "0000000000001-4294967296", "-1"})
        EXPECT_FALSE(parse_delivery_id(text)) << text;
}

}  // namespace
}  // namespace storage
