// The column families and how each is set up; the reasons stand in README.md.
#pragma once

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/options.h>

#include <array>
#include <vector>

namespace storage {

enum class Family : uint8_t {
    meta,
    content,
    queue,
    delivery,
    event,
    idempotency,
    job,
    suppression
};
inline constexpr size_t family_count = 8;

/// From this size on a content lives in a blob file.
inline constexpr size_t large_content_min = size_t{16} << 10;

/// Two thirds of the memory are for memtables, one third for the block cache that all families
/// share.
rocksdb::DBOptions database_options(size_t memory_bytes);
/// In the order of Family.
std::vector<rocksdb::ColumnFamilyDescriptor> family_descriptors(size_t memory_bytes);

}  // namespace storage
