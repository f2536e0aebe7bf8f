// Backups: a directory with a whole store in it, and what it held.
#pragma once

#include <filesystem>

#include "storage/types.h"

namespace storage {

struct Backup {
    WallTime time{};
    uint64_t bytes = 0;       // of its files, linked ones too
    uint64_t last_event = 0;  // what happened later is not in it
    uint64_t open = 0;        // deliveries that wait in it
    uint64_t accepted = 0;    // by all tenants, ever
};

/// What `directory` says of itself; an error when it is no backup, or one that was not finished.
Result<Backup> read_backup(const std::filesystem::path& directory);

/// Copies a backup to `data_dir`, which must be missing or empty: whole or not at all. Deliveries
/// that ended after the backup was made wait in it, and a daemon sends them again.
Result<Backup> restore_backup(const std::filesystem::path& directory,
                              const std::filesystem::path& data_dir);

}  // namespace storage
