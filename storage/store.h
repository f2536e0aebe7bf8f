// The durable queue: one RocksDB, several column families, every change one atomic batch.
// Any thread may call; every call blocks. Nothing here knows sockets, coroutines or mail.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>

#include "storage/backup.h"
#include "storage/types.h"

namespace rocksdb {
class FileSystem;
struct ColumnFamilyDescriptor;
struct DBOptions;
}  // namespace rocksdb

namespace storage {

struct StoreOptions {
    std::filesystem::path data_dir;
    std::filesystem::path log_dir;  // of the write-ahead log; empty: in data_dir
    std::chrono::seconds event_retention = std::chrono::hours(72);
    std::chrono::seconds job_retention = std::chrono::hours(72);   // after the job's last delivery ended
    size_t memory_bytes = size_t{192} << 20;                       // of memtables and cached blocks together
    uint32_t tables_max = 512;                                     // open at a time, a descriptor each
    std::shared_ptr<rocksdb::FileSystem> file_system;              // null: the machine's; tests pass a faulty one
    /// The last word on RocksDB's options, or empty: bench/store compares some with it, tests bring a clock.
    std::function<void(rocksdb::DBOptions&, std::vector<rocksdb::ColumnFamilyDescriptor>&)> adjust;
};

/// What a commit did, for metrics and for whoever waits on the feed.
struct Committed {
    uint64_t events_upto = 0;  // every event with seq <= this is durable and readable, in order
    uint64_t bytes = 0;        // of the write batch
};

/// Counts per tenant, as the events tell them. accepted = the rest + open, always.
using Ledger = std::map<std::string, JobCounts>;

class Store {
  public:
    /// Opens or creates data_dir, counts a new boot, and reads no delivery rows. Errors: locked (names the pid if it
    /// can), corruption, io, no_space.
    static Result<std::unique_ptr<Store>> open(StoreOptions);
    ~Store();

    uint32_t boot() const;      // of this start, from 1
    JobId last_job() const;     // highest job id ever committed; ids given out must be above it

    /// One write batch for the whole group, answered after the log is synced. `shard` and `group` become the
    /// AcceptMark of the group's new deliveries. Events get their seq in the order of the group.
    /// After io or no_space nothing of the group is kept.
    Result<Committed> commit(std::span<const Batch> group, uint16_t shard, uint64_t group_number);

    Result<std::optional<std::string>> content(JobId);             // nullopt: dropped already
    Result<std::optional<JobStatus>> job(JobId);
    /// Jobs whose id is below `before`, the newest first, at most `limit`.
    Result<std::vector<JobStatus>> jobs(JobId before, size_t limit);
    /// Every queue that has a row; reads no delivery, so some may be empty.
    Result<std::vector<std::pair<QueueId, QueueInfo>>> queues();
    /// Deletes the rows of those that are empty. From before the call until it has returned every commit that puts a
    /// delivery into one of them must bring its row along in `Batch::queues`. False: nothing was done because such
    /// commits were under way; try again later.
    Result<bool> drop_queues(std::span<const QueueId>);
    /// Rows of one queue in due order, after `after` (exclusive), at most `limit`; fewer: there are
    /// no more. What is damaged is left out, logged and counted.
    Result<std::vector<Delivery>> read_queue(QueueId, std::optional<DeliveryKey> after, size_t limit);
    Result<std::optional<Delivery>> delivery(const DeliveryKey&);  // nullopt: that row is not there (any more)
    Result<std::optional<QueueInfo>> queue(QueueId);
    /// Reads the keys, for the background; stops counting at `most`.
    Result<uint64_t> count_queue(QueueId, uint64_t most = UINT64_MAX);

    /// Events with seq > after, in order, at most `limit`; never beyond what is durable in order (no gap is skipped
    /// over that could still fill).
    Result<std::vector<Event>> events(uint64_t after, size_t limit);
    uint64_t last_event() const;                                   // highest readable seq
    uint64_t first_event() const;                                  // lowest seq that retention has kept; 0 when none
    /// Seq of the first event at or after a time; last_event() + 1 when there is none.
    Result<uint64_t> first_event_since(WallTime);
    Result<std::vector<Event>> events_of(DeliveryId, size_t limit); // a delivery's story; scans the job's time range

    Result<std::optional<IdempotencyRecord>> idempotency(std::string_view tenant, std::string_view key, WallTime now);

    /// What must outlast a restart and belongs to no delivery: small values by kind and name. Synced; an empty value
    /// removes the note. A kind is a word without '/'. Who writes notes bounds how many there are.
    Result<void> put_notes(std::string_view kind, std::span<const Note> notes);
    /// Those whose name begins with `prefix`, by name, at most `limit`.
    Result<std::vector<Note>> notes(std::string_view kind, std::string_view prefix, size_t limit);

    /// Suppression lists (suppression.cc). Addresses are compared octet by octet. An entry that is
    /// there already is replaced. look_again() must follow.
    Result<void> suppress(std::span<const Suppression> entries);
    /// What was accepted up to now may not have been compared with this list as it is: see
    /// suppressed_upto(). `now`: of the clock that job ids are made by, read after the change.
    void look_again(const std::string& list, WallTime now);
    /// How many of them were on the list.
    Result<uint64_t> unsuppress(std::string_view tenant, std::span<const std::string> addresses);
    /// Which of these the tenant must not send to, by its own list or by everybody's.
    Result<std::vector<bool>> suppressed(std::string_view tenant,
                                         std::span<const std::string> addresses);
    Result<std::optional<Suppression>> suppression(std::string_view tenant,
                                                   std::string_view address);
    /// One list in the order of its addresses, behind `after`.
    Result<std::vector<Suppression>> suppressions(std::string_view tenant, std::string_view after,
                                                  size_t limit);
    /// From memory: the jobs up to this one may have been accepted before an entry was made that is
    /// about the tenant. 0: nothing is suppressed for it.
    JobId suppressed_upto(std::string_view tenant) const;

    Ledger ledger() const;                    // from memory
    JobCounts totals() const;                 // of all tenants
    /// Rows in the delivery family: exact once the background count at start has ended (false until then).
    std::pair<int64_t, bool> delivery_rows() const;

    /// Drops events, finished jobs and idempotency keys that are past their time. Call now and then, off the shard.
    Result<void> collect(WallTime now);
    /// Call now and then, off the shard: when nothing has been written for some seconds, what memtables hold goes into
    /// tables in the background, and their memory back. A store that is written to again loses nothing by it.
    void give_back_memory(WallTime now);
    bool healthy() const;                     // false after a failed write or sync
    uint64_t unreadable() const;              // reads since the start that met damage
    uint64_t free_bytes() const;              // of data_dir's file system or log_dir's: the fuller
    uint64_t data_bytes() const;              // what data_dir and log_dir hold

    /// A copy of everything as it is at this moment, in a directory that must not exist yet, while
    /// commits go on. On data_dir's file system tables are linked and not copied. May take minutes
    /// elsewhere. See backup.h.
    Result<Backup> backup(const std::filesystem::path& target, WallTime now);

  private:
    Store();
    Result<std::vector<bool>> suppressed_in(std::string_view list,
                                            std::span<const std::string> addresses);
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace storage
