// Tables that RocksDB cannot open at all, because their ends or indexes are damaged, and how it
// goes on without them. One that it cannot open keeps it from reading anything of that family where
// the table is in level 0; and its own repair (RepairDB) knows no blob files.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "storage/patient.h"
#include "storage/types.h"

namespace storage {

struct BrokenTable {
    std::filesystem::path file;
    Gap lost;  // its first and last key, and why it cannot be opened
    uint32_t family_id = 0;
    int level = 0;
    uint64_t number = 0;
};

/// Of a database that was opened without paranoid_checks. A family that is not there is null.
std::vector<BrokenTable> broken_tables(rocksdb::DB&,
                                       std::span<rocksdb::ColumnFamilyHandle* const> families,
                                       const std::filesystem::path& directory, size_t memory_bytes);

/// Takes them out of the manifest. The database must have been opened for writing and closed since
/// whatever happened to its manifest, as that writes it anew.
Result<void> forget_tables(const std::filesystem::path& directory, std::span<const BrokenTable>);

}  // namespace storage
