// What a Store is made of. Private to storage/: store.cc commits and reads, open.cc starts,
// collect.cc forgets.
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/env.h>

#include <array>
#include <atomic>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>
#include <thread>

#include "storage/event_log.h"
#include "storage/families.h"
#include "storage/live_jobs.h"
#include "storage/store.h"
#include "storage/suppressed_tenants.h"

namespace storage {

inline std::string_view view(const rocksdb::Slice& slice) {
    return {slice.data(), slice.size()};
}

/// What a failure left behind. io and corruption stay until the store is opened again; no_space
/// until there is room.
class Health {
  public:
    bool failed() const { return failed_.load(std::memory_order_acquire); }
    bool full() const { return full_.load(std::memory_order_acquire); }
    void set_full(bool full) { full_.store(full, std::memory_order_release); }
    void fail(Error error);  // the first one is kept
    Error error() const;

  private:
    std::atomic<bool> failed_{false};
    std::atomic<bool> full_{false};
    mutable std::mutex mutex_;
    Error error_;
};

struct Store::State {
    explicit State(StoreOptions);
    ~State();

    rocksdb::ColumnFamilyHandle* family(Family f) const { return families[static_cast<size_t>(f)]; }
    Error error(const rocksdb::Status& status, std::string_view doing) const;
    /// Every write of the store, synced. After no_space it first gets RocksDB going again.
    Result<void> write(rocksdb::WriteBatch&, std::string_view doing);
    /// After no_space: gets RocksDB going again, on a new log.
    rocksdb::Status resume();
    uint64_t log_number() const;
    Result<std::optional<JobRow>> job_row(JobId) const;
    /// A read that met damage: the caller goes on without what stood there.
    void tell_unreadable(Family, std::string_view what);
    std::vector<UselessContent> take_useless(size_t limit);
    void add_useless(std::span<const UselessContent>);

    // store.cc
    /// The least number from `first` on, or `end`, from which events can be read again.
    uint64_t readable_event(uint64_t first, uint64_t end) const;
    Result<void> read_story(DeliveryId, uint64_t begin, uint64_t end, size_t limit,
                            std::vector<Event>& found);

    // suppression.cc
    Result<void> load_suppressed_tenants();
    void note_suppressed(const std::string& list, WallTime now);

    // open.cc
    Result<void> open();
    Result<void> make_directory() const;
    rocksdb::Status open_database(const std::filesystem::path& log_directory);
    void close_database();
    /// Writes what the log there holds into tables, so that the log may lie elsewhere from then on.
    Result<void> settle_log(const std::filesystem::path& log_directory);
    Result<void> check_files() const;
    Result<void> check_current() const;
    Error open_error(const rocksdb::Status&) const;
    Result<void> load();
    Result<uint64_t> meta_number(std::string_view key) const;  // 0 when absent
    void start_counting_rows();
    void count_rows(const std::stop_token&, const rocksdb::Snapshot*);

    // collect.cc
    void hold_compactions();
    Result<void> drop_contents();
    Result<void> drop_orphans();
    Result<void> drop_events(WallTime before);
    Result<void> drop_jobs(WallTime before);
    Result<void> drop_idempotency(WallTime upto);
    void reclaim_blobs(WallTime now);
    Result<uint64_t> first_event_since(WallTime) const;

    StoreOptions options;
    std::filesystem::path directory;  // RocksDB's, within data_dir
    std::filesystem::path logs;       // of the write-ahead log; `directory` unless log_dir is set
    std::shared_ptr<rocksdb::FileSystem> file_system;
    std::unique_ptr<rocksdb::Env> own_env;  // over options.file_system; null: the default one
    Health health;                          // before db, whose threads report to it
    /// Families whose compactions have met a damaged block. Their next ones would meet it too, each
    /// time.
    std::array<std::atomic<bool>, family_count> damaged{};
    std::atomic<uint64_t> unreadable{0};  // reads that met damage
    std::mutex told_mutex;
    std::set<std::string> told;  // the latest of them
    std::unique_ptr<rocksdb::DB> db;
    std::vector<rocksdb::ColumnFamilyHandle*> families;
    std::mutex resume_mutex;
    std::atomic<uint64_t> broken_log{0};  // in which a write has failed for want of room

    uint32_t boot = 0;
    std::atomic<uint64_t> last_job{0};
    uint64_t last_job_at_open = 0;
    std::optional<EventLog> events;
    std::atomic<uint64_t> event_floor{1};  // collect() has dropped what is below
    std::optional<LiveJobs> live_jobs;

    std::shared_mutex queue_rows;  // shared by commits that write rows of queues
    SuppressedTenants suppressed;

    mutable std::mutex ledger_mutex;
    Ledger ledger;

    std::mutex useless_mutex;
    std::vector<UselessContent> useless_contents;  // to be deleted with a later batch

    std::mutex collect_mutex;
    bool orphans_dropped = false;  // once a start; guarded by collect_mutex, as is jobs_from
    uint64_t jobs_from = 0;        // no job row below this id can be collected
    std::array<bool, family_count> held{};  // from compacting
    struct Quiet {
        uint64_t sequence = 0;  // of the last write
        WallTime since{};       // nothing was written
    };
    Quiet quiet;
    WallTime reclaimed_at{};
    std::atomic<uint64_t> contents_dropped{
        1};  // since then; what an earlier run dropped is unknown

    std::atomic<bool> snapshot_held{false};  // by who counts rows
    std::atomic<int64_t> rows_counted{0};    // at open
    std::atomic<int64_t> rows_changed{0};    // since
    std::atomic<bool> rows_exact{false};
    std::jthread row_counter;  // last, with the next one: they use the rest
    std::jthread reclaimer;    // guarded by collect_mutex
};

}  // namespace storage
