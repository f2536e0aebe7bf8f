#include "ingest/descriptors.h"

#include <gtest/gtest.h>

namespace ingest {
namespace {

TEST(Descriptors, NeverPromiseMoreThanThereAre) {
    for (const uint64_t limit : {512, 600, 1024, 4096, 65'536, 524'288, 2'000'000'000})
        for (const unsigned shards : {1, 2, 8}) {
            const Descriptors parts = share_out(limit, shards);
            EXPECT_LT(parts.tables + uint64_t{parts.ingest} * shards + parts.outbound, limit);
            EXPECT_GE(parts.tables, 128u);
            EXPECT_GE(parts.ingest, 1u);
        }
}

TEST(Descriptors, AreForMailHostsFirst) {
    EXPECT_GE(share_out(512, 2).outbound, 200u);
    EXPECT_GE(share_out(1024, 2).outbound, 512u);
    EXPECT_GE(share_out(65'536, 2).outbound, 50'000u);
    EXPECT_EQ(share_out(65'536, 2).tables, 512u);
}

TEST(Descriptors, SufficeOnAMachineOfManyCores) {
    EXPECT_GE(share_out(1024, 64).outbound, 1u) << "few, but the node works";
}

}  // namespace
}  // namespace ingest
