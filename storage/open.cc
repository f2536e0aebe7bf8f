// How a store starts: the directory, the lock, what was damaged, and the little that has to be in
// memory.
#include <fcntl.h>
#include <fmt/format.h>
#include <rocksdb/file_system.h>
#include <rocksdb/listener.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "metrics/log.h"
#include "storage/errors.h"
#include "storage/keys.h"
#include "storage/log_check.h"
#include "storage/log_place.h"
#include "storage/patient.h"
#include "storage/range.h"
#include "storage/state.h"

namespace storage {

namespace {

// Of another process only; nothing can be learnt of a lock of our own, and closing the file would
// drop that.
std::optional<pid_t> holder_of(const std::filesystem::path& lock_file) {
    const int fd = ::open(lock_file.c_str(), O_RDWR | O_CLOEXEC);
    if (fd < 0) return std::nullopt;
    struct flock lock{};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    const bool asked = ::fcntl(fd, F_GETLK, &lock) == 0;
    ::close(fd);
    if (!asked || lock.l_type == F_UNLCK) return std::nullopt;
    return lock.l_pid;
}

Error directory_error(const std::filesystem::path& path, int number) {
    std::string mend = "check the path and its file system";
    if (number == ENOENT)
        mend = fmt::format("create {} or set node.data_dir to another place",
                           path.parent_path().string());
    if (number == EACCES || number == EPERM)
        mend = fmt::format("give user {} read, write and search permission on it", ::geteuid());
    if (number == EROFS) mend = "mount that file system writable";
    if (number == ENOTDIR || number == EEXIST) mend = "a file stands in its way: move the file";
    if (number == ENOSPC || number == EDQUOT)
        return {Errc::no_space, fmt::format("data_dir {}: {}; free or add space", path.string(),
                                            std::strerror(number))};
    return {Errc::io,
            fmt::format("data_dir {}: {}; {}", path.string(), std::strerror(number), mend)};
}

// A new directory is only sure to be there after a power cut when its parent is synced. Returns
// errno.
int sync_directory(const std::filesystem::path& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return errno;
    const int number = ::fsync(fd) == 0 ? 0 : errno;
    ::close(fd);
    return number;
}

// What fails in RocksDB's own threads must be known before the next commit runs into it.
class BackgroundErrors final : public rocksdb::EventListener {
  public:
    BackgroundErrors(Health& health, std::span<std::atomic<bool>> damaged, std::string directory)
        : health_(health), damaged_(damaged), directory_(std::move(directory)) {}

    void OnBackgroundError(rocksdb::BackgroundErrorReason reason,
                           rocksdb::Status* status) override {
        // A damaged block is no reason to stop: what it held is told to whoever reads it, and the
        // rest of the queue goes on. RocksDB forgets the failure when it is taken from it here.
        if (reason == rocksdb::BackgroundErrorReason::kCompaction && status->IsCorruption()) {
            *status = rocksdb::Status::OK();
            return;
        }
        if (status->severity() < rocksdb::Status::kHardError) return;  // writes go on
        if (status->IsNoSpace())
            health_.set_full(true);
        else
            health_.fail(error_of(*status, "work in the background in " + directory_));
    }
    void OnCompactionCompleted(rocksdb::DB*, const rocksdb::CompactionJobInfo& job) override {
        if (!job.status.IsCorruption() || job.cf_id >= damaged_.size()) return;
        if (damaged_[job.cf_id].exchange(true)) return;
        metrics::log::error(
            "storage.damaged",
            {{"family", name_of(static_cast<Family>(job.cf_id))},
             {"error", job.status.ToString()},
             {"hint",
              "mail goes on without what stood there, and the family is no longer compacted; "
              "stop the daemon when it suits you and run sluice fsck"}});
    }
    // RocksDB would look for room every 5 s and refuse our Resume() meanwhile; the next commit is a
    // better moment.
    void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status,
                              bool* automatic) override {
        *automatic = false;
    }

  private:
    Health& health_;
    std::span<std::atomic<bool>> damaged_;
    std::string directory_;
};

constexpr int torn_sectors_max = 64;

/// A torn sector that had one bit in it looks like damage of a whole record. Whether that record
/// was acknowledged nobody can tell, and so it is made whole again.
Result<std::vector<LogDamage>> damage_of_no_power_cut(rocksdb::FileSystem& files,
                                                      const std::filesystem::path& directory,
                                                      decltype(&damage_of_logs) look,
                                                      const std::filesystem::path& where) {
    const auto torn = [](const Result<std::vector<LogDamage>>& damage) {
        return damage && !damage->empty() && damage->front().sector_is_zeros;
    };
    auto damage = look(files, where);
    if (!torn(damage)) return damage;
    rocksdb::FileLock* lock = nullptr;
    if (!files.LockFile((directory / "LOCK").string(), {}, &lock, nullptr).ok())
        return std::vector<LogDamage>();  // somebody is writing there; the open says who
    for (int sectors = 0; sectors < torn_sectors_max && torn(damage); ++sectors) {
        const LogDamage& one = damage->front();
        metrics::log::warn("storage.sector_mended",
                           {{"file", one.file.string()}, {"byte", one.turned->octet}});
        if (auto turned = turn_back(one); turned)
            damage = look(files, where);
        else
            damage = std::unexpected(turned.error());
    }
    (void)files.UnlockFile(lock, {}, nullptr);
    return damage;
}

}  // namespace

Result<std::unique_ptr<Store>> Store::open(StoreOptions options) {
    std::unique_ptr<Store> store(new Store);
    store->state_ = std::make_unique<State>(std::move(options));
    if (auto opened = store->state_->open(); !opened) return std::unexpected(opened.error());
    return store;
}

Store::State::State(StoreOptions given) : options(std::move(given)) {
    options.data_dir = std::filesystem::absolute(options.data_dir).lexically_normal();
    directory = options.data_dir / "rocksdb";
    file_system = options.file_system ? options.file_system : rocksdb::FileSystem::Default();
    if (options.file_system) own_env = rocksdb::NewCompositeEnv(options.file_system);
}

Store::State::~State() {
    for (std::jthread* thread : {&row_counter, &reclaimer}) {
        thread->request_stop();
        if (thread->joinable()) thread->join();
    }
    close_database();
}

Result<void> Store::State::open() {
    if (auto made = make_directory(); !made) return made;
    LogPlace place(options.data_dir, directory, options.log_dir);
    const auto taken = place.take([this](const auto& from) { return settle_log(from); });
    if (!taken) return std::unexpected(taken.error());
    logs = *taken;
    if (auto sound = check_files(); !sound) return sound;
    const rocksdb::Status status = open_database(logs);
    if (!status.ok()) return std::unexpected(open_error(status));
    if (auto loaded = load(); !loaded) return loaded;
    rocksdb::WriteBatch batch;
    batch.Put(family(Family::meta), std::string(meta_boot), number_key(boot));
    if (auto written = write(batch, "count this start"); !written) return written;
    start_counting_rows();
    return {};
}

/// What RocksDB would not find, or would find too late.
Result<void> Store::State::check_files() const {
    const std::pair<decltype(&damage_of_logs), std::filesystem::path> looks[] = {
        {damage_of_manifest, directory}, {damage_of_logs, logs}};
    for (const auto& [look, where] : looks) {
        const auto damage = damage_of_no_power_cut(*file_system, directory, look, where);
        if (!damage) return std::unexpected(damage.error());
        if (!damage->empty()) return std::unexpected(error_of(damage->front()));
    }
    return check_current();
}

/// Without CURRENT RocksDB takes the directory for a new one and deletes what it holds.
Result<void> Store::State::check_current() const {
    const auto broken = [&](std::string_view what) {
        return std::unexpected(
            Error{Errc::corruption,
                  fmt::format(
                      "{} in {}; restore data_dir from a backup, or let sluice fsck --repair save "
                      "what can be read and say what is lost",
                      what, directory.string())});
    };
    std::string manifest;
    const auto read =
        rocksdb::ReadFileToString(file_system.get(), (directory / "CURRENT").string(), &manifest);
    if (read.ok()) {
        while (manifest.ends_with('\n')) manifest.pop_back();
        const bool named =
            manifest.starts_with("MANIFEST-") &&
            file_system->FileExists((directory / manifest).string(), {}, nullptr).ok();
        if (named) return {};
        return broken("the file CURRENT names no manifest that is there");
    }
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(directory, ignored)) {
        const auto kind = entry.path().extension();
        const bool holds_mail =
            kind == ".sst" || kind == ".blob" || (kind == ".log" && entry.file_size(ignored) > 0);
        if (holds_mail) return broken("the file CURRENT is missing beside data");
    }
    return {};
}

rocksdb::Status Store::State::open_database(const std::filesystem::path& log_directory) {
    rocksdb::DBOptions db_options = database_options(options.memory_bytes);
    db_options.max_open_files = static_cast<int>(options.tables_max);
    if (own_env) db_options.env = own_env.get();
    if (log_directory != directory) db_options.wal_dir = log_directory.string();
    db_options.listeners.push_back(
        std::make_shared<BackgroundErrors>(health, damaged, directory.string()));
    auto descriptors = family_descriptors(options.memory_bytes);
    if (options.adjust) options.adjust(db_options, descriptors);
    rocksdb::DB* opened = nullptr;
    const rocksdb::Status status =
        rocksdb::DB::Open(db_options, directory.string(), descriptors, &families, &opened);
    db.reset(opened);
    return status;
}

void Store::State::close_database() {
    for (rocksdb::ColumnFamilyHandle* handle : families)
        // The only error is that of a foreign handle.
        (void)db->DestroyColumnFamilyHandle(handle);
    families.clear();
    db.reset();
}

Result<void> Store::State::settle_log(const std::filesystem::path& log_directory) {
    logs = log_directory;
    if (auto sound = check_files(); !sound) return sound;
    rocksdb::Status status = open_database(log_directory);
    if (!status.ok()) return std::unexpected(open_error(status));
    status = db->Flush({}, families);
    close_database();
    if (!status.ok()) return std::unexpected(error(status, "write the log into tables"));
    return {};
}

Result<void> Store::State::make_directory() const {
    for (const std::filesystem::path& path : {options.data_dir, directory}) {
        // The system's call and not RocksDB's, whose status has lost the errno that says how to
        // mend it.
        const bool made = ::mkdir(path.c_str(), 0750) == 0;
        if (!made && errno != EEXIST) return std::unexpected(directory_error(path, errno));
        if (const int number = made ? sync_directory(path.parent_path()) : 0; number != 0)
            return std::unexpected(directory_error(path, number));
        std::error_code ignored;
        if (!std::filesystem::is_directory(path, ignored))
            return std::unexpected(directory_error(path, ENOTDIR));
        if (::access(path.c_str(), R_OK | W_OK | X_OK) != 0)
            return std::unexpected(directory_error(path, errno));
    }
    return {};
}

Error Store::State::open_error(const rocksdb::Status& status) const {
    const std::string why = status.ToString();
    const bool by_us = why.find("lock hold by current process") != std::string::npos;
    const bool by_another = why.find("While lock file") != std::string::npos;
    if (!by_us && !by_another) return error(status, "open the store");
    std::string holder = "this process";
    if (by_another) {
        const auto pid = holder_of(directory / "LOCK");
        holder = pid ? fmt::format("process {}", *pid) : "another process";
    }
    return {Errc::locked, fmt::format("data_dir {} is in use by {}; stop that one, or set "
                                      "node.data_dir to another directory",
                                      options.data_dir.string(), holder)};
}

Result<void> Store::State::load() {
    const auto boot_before = meta_number(meta_boot);
    if (!boot_before) return std::unexpected(boot_before.error());
    boot = static_cast<uint32_t>(*boot_before + 1);

    const auto floor = meta_number(meta_event_floor);
    if (!floor) return std::unexpected(floor.error());
    const auto last_of = [&](Family f) -> Result<uint64_t> {
        const std::unique_ptr<rocksdb::Iterator> rows(db->NewIterator({}, family(f)));
        rows->SeekToLast();
        if (!rows->status().ok()) return std::unexpected(error(rows->status(), "open the store"));
        if (!rows->Valid()) return 0;
        const auto number = parse_number_key(view(rows->key()));
        if (!number) return std::unexpected(bad_record("event or job", view(rows->key())));
        return *number;
    };
    const auto last_event = last_of(Family::event);
    if (!last_event) return std::unexpected(last_event.error());
    event_floor = std::max<uint64_t>(*floor, 1);
    // Where the last ones were lost their numbers are not used again: readers' cursors know them.
    const auto whole_from = meta_number(meta_events_whole_from);
    if (!whole_from) return std::unexpected(whole_from.error());
    events.emplace(
        std::max({*last_event, event_floor - 1, std::max<uint64_t>(*whole_from, 1) - 1}));

    const auto job_floor = meta_number(meta_job_floor);
    if (!job_floor) return std::unexpected(job_floor.error());
    const auto last_row = last_of(Family::job);
    if (!last_row) return std::unexpected(last_row.error());
    last_job = last_job_at_open = std::max(*job_floor, *last_row);
    live_jobs.emplace(boot, [this](JobId id) { return job_row(id); });

    if (auto loaded = load_suppressed_tenants(); !loaded) return loaded;

    Range tenants(*db, family(Family::meta), meta_ledger, behind_prefix(meta_ledger));
    for (; tenants.valid(); tenants.next()) {
        const auto row = TenantRow::read(tenants.value());
        if (!row) return std::unexpected(bad_record("meta", tenants.key()));
        ledger.emplace(tenants.key().substr(meta_ledger.size()), row->counts);
    }
    if (!tenants.status().ok()) return std::unexpected(error(tenants.status(), "read the ledger"));
    return {};
}

Result<uint64_t> Store::State::meta_number(std::string_view key) const {
    std::string bytes;
    const rocksdb::Status status = db->Get({}, family(Family::meta), std::string(key), &bytes);
    if (status.IsNotFound()) return 0;
    if (!status.ok()) return std::unexpected(error(status, "open the store"));
    const auto number = parse_number_key(bytes);
    if (!number) return std::unexpected(bad_record("meta", key));
    return *number;
}

void Store::State::start_counting_rows() {
    // Before the first commit: what the snapshot holds and what commits change after it are all
    // there is.
    const rocksdb::Snapshot* snapshot = db->GetSnapshot();
    snapshot_held = true;
    row_counter =
        std::jthread([this, snapshot](const std::stop_token& stop) { count_rows(stop, snapshot); });
}

void Store::State::count_rows(const std::stop_token& stop, const rocksdb::Snapshot* snapshot) {
    constexpr int64_t step = 4096;
    // A walk over millions of rows takes seconds of a core; deliveries go before it. Where the
    // system refuses, it counts at the speed of all others.
    (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), 19);
    {
        Range rows(*db, family(Family::delivery), "", "", Range::Caching::pass_through, snapshot);
        int64_t count = 0;
        for (; rows.valid() && !stop.stop_requested(); rows.next())
            if (++count % step == 0) rows_counted = count;
        rows_counted = count;
        // After a read error the count stays a lower bound, and says so.
        rows_exact = rows.status().ok() && !stop.stop_requested();
    }
    db->ReleaseSnapshot(snapshot);
    snapshot_held = false;
}

}  // namespace storage
