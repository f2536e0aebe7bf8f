// What fsck writes: the records of a store made to agree again.
#pragma once

#include <span>

#include "storage/fsck_scan.h"

namespace storage {

/// Removes what does not decode, waits twice or has ended; writes rows that are missing; ends what
/// is lost with an event each; then counts anew. Synced, and done again by the next call where it
/// was cut.
Result<void> repair_records(rocksdb::DB&, std::span<rocksdb::ColumnFamilyHandle* const>,
                            const Scan&, const FsckOptions&, FsckReport&);

/// All rows of `from` that can be read, in a new database at `to`.
Result<void> copy_readable(rocksdb::DB& from, std::span<rocksdb::ColumnFamilyHandle* const>,
                           const std::filesystem::path& to, const FsckOptions&);

}  // namespace storage
