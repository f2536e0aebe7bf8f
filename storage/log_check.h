// Looks for damage that RocksDB would take for the end of a file: in the write-ahead log, and in
// the manifest, which has the same format.
#pragma once

#include <rocksdb/file_system.h>

#include <filesystem>
#include <optional>
#include <vector>

#include "storage/types.h"

namespace storage {

/// The first place of a file that does not hold.
struct LogDamage {
    std::filesystem::path file;
    uint64_t offset = 0;
    /// With this bit turned back the record there holds: then it can be mended without any loss.
    struct Bit {
        uint64_t octet = 0;  // of the file
        uint8_t mask = 0;
    };
    std::optional<Bit> turned;
    /// All of the record that lies in the sector of that bit is zeros: as well a power cut may have
    /// kept that sector from the disk, and the record had just this bit in it.
    bool sector_is_zeros = false;
};
Error error_of(const LogDamage&);
/// Turns the bit back, durably.
Result<void> turn_back(const LogDamage&);

/// RocksDB replays the log up to the first record that does not hold and drops the rest: right for
/// the torn tail that a power cut leaves, silent loss of acknowledged mail when a disk damaged an
/// older record. The two can be told apart: every commit is one record and is synced before the
/// next is begun, so behind a torn one no other can begin; and a record that would hold if one bit
/// were another is whole, and so was damaged later. `logs` need not exist. Call before the open.
Result<std::vector<LogDamage>> damage_of_logs(rocksdb::FileSystem&,
                                              const std::filesystem::path& logs);
/// The same for the manifest that CURRENT names; of it RocksDB finds the rest itself.
Result<std::vector<LogDamage>> damage_of_manifest(rocksdb::FileSystem&,
                                                  const std::filesystem::path& directory);

}  // namespace storage
