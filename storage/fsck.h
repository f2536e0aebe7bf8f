// Looks through a store that no daemon has open: whether every record can be read, every reference
// leads somewhere and the ledger is what events and rows say. Mends what can be mended, and says
// what was lost.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "storage/types.h"

namespace rocksdb {
class FileSystem;
}

namespace storage {

struct FsckOptions {
    std::filesystem::path data_dir, log_dir;  // log_dir as in StoreOptions
    bool repair = false;
    WallTime now{};  // of the events that tell of losses
    size_t memory_bytes = size_t{192} << 20;
    std::shared_ptr<rocksdb::FileSystem> file_system;  // null: the machine's
    /// What storage does not know of mail: the id of a queue, and the domain that mail for a
    /// recipient waits under.
    std::function<QueueId(const QueueInfo&)> queue_id;
    std::function<std::string(const std::string& recipient)> domain_of;
    /// Told now and then which family is being read and how many records of it have been.
    std::function<void(std::string_view family, uint64_t records)> progress;
};

struct FsckFinding {
    enum class Kind : uint8_t {
        file,         // RocksDB's files: log, manifest, CURRENT, a table
        unreadable,   // a range of keys in a damaged block
        record,       // one record that does not decode
        content,      // missing or unreadable while a delivery needs it
        job,          // a row that is missing, or whose counts are not what is there
        delivery,     // lost, doubled, or waiting although it has ended
        queue,        // a row that is missing or names other mail
        ledger,       // a tenant's counts
        idempotency,  // keys that never expire
        orphan        // of no use to anybody; no damage
    };
    Kind kind{};
    std::string what;   // which record, what is wrong with it
    std::string mend;   // what --repair does about it
    uint64_t more = 0;  // others of the same kind and words that are not listed
};
std::string_view to_string(FsckFinding::Kind);

struct FsckReport {
    uint64_t jobs = 0, contents = 0, deliveries = 0, queues = 0, events = 0, idempotency_keys = 0,
             suppressions = 0;
    std::vector<FsckFinding> found;  // as it was
    std::vector<std::string> done;   // by --repair, in order
    std::vector<std::string> lost;   // what --repair could not save
    std::vector<FsckFinding> left;   // after --repair; without it the same as `found`
    /// Orphans are no damage: a crash leaves them and the daemon drops them.
    bool sound() const;
};

/// Errors: locked, and what keeps even this from looking (no such directory, no permission).
Result<FsckReport> fsck(const FsckOptions&);

}  // namespace storage
