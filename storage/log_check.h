// Looks for damage in the write-ahead log that RocksDB would take for the end of it.
#pragma once

#include <rocksdb/file_system.h>

#include <filesystem>

#include "storage/types.h"

namespace storage {

/// RocksDB replays the log up to the first record that does not hold and drops the rest: right for
/// the torn tail that a power cut leaves, silent loss of acknowledged mail when a disk damaged an
/// older record. The two can be told apart: every commit is one record and is synced before the
/// next is begun, so behind a torn one no other can begin. Answers `corruption` with file and
/// offset when one does. `directory` need not exist. Call before the open.
Result<void> check_logs(rocksdb::FileSystem&, const std::filesystem::path& directory);

}  // namespace storage
