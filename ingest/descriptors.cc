#include "ingest/descriptors.h"

#include <algorithm>

namespace ingest {

namespace {

constexpr uint64_t tables_max = 512;
constexpr uint64_t ingest_max = 10'000;  // of a shard
constexpr uint64_t outbound_max = 1'000'000;
constexpr uint64_t others = 32, others_of_a_shard = 16;

uint32_t narrow(uint64_t count) {
    return static_cast<uint32_t>(count);
}

}  // namespace

Descriptors share_out(uint64_t limit, unsigned shards) {
    const uint64_t tables = std::min(limit / 4, tables_max);
    const uint64_t ingest = std::clamp<uint64_t>(limit / 8 / shards, 1, ingest_max);
    const uint64_t taken = tables + (ingest + others_of_a_shard) * shards + others;
    const uint64_t left = taken < limit ? limit - taken : 0;
    return {.tables = narrow(tables),
            .ingest = narrow(ingest),
            .outbound = narrow(std::clamp<uint64_t>(left, 1, outbound_max))};
}

}  // namespace ingest
