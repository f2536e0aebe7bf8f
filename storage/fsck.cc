#include "storage/fsck.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <rocksdb/file_system.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <ranges>
#include <set>
#include <utility>

#include "storage/errors.h"
#include "storage/fsck_deadly.h"
#include "storage/fsck_repair.h"
#include "storage/fsck_scan.h"
#include "storage/fsck_tables.h"
#include "storage/log_check.h"
#include "storage/log_place.h"
#include "storage/ownership.h"

namespace storage {

namespace {

namespace fs = std::filesystem;
using Kind = FsckFinding::Kind;

/// The database while fsck has it open, for reading or for mending.
struct Opened {
    std::unique_ptr<rocksdb::DB> db;
    std::vector<rocksdb::ColumnFamilyHandle*> families;

    Opened() = default;
    Opened(Opened&&) = default;
    ~Opened() { close(); }
    void close() {
        for (auto* handle : families)
            if (handle) (void)db->DestroyColumnFamilyHandle(handle);
        families.clear();
        db.reset();
    }
};

class Fsck {
  public:
    explicit Fsck(const FsckOptions& options)
        : options_(options),
          data_dir_(fs::absolute(options.data_dir).lexically_normal()),
          directory_(data_dir_ / "rocksdb"),
          files_(options.file_system ? options.file_system : rocksdb::FileSystem::Default()) {}

    Result<FsckReport> run() {
        std::error_code error;
        if (!fs::is_directory(directory_, error))
            return std::unexpected(
                Error{Errc::invalid,
                      fmt::format("{} holds no queue; check [node] data_dir", data_dir_.string())});
        const auto logs = LogPlace(data_dir_, directory_, options_.log_dir).current();
        if (!logs) return std::unexpected(logs.error());
        logs_ = *logs;
        rocksdb::FileLock* lock = nullptr;
        const auto locked = files_->LockFile((directory_ / "LOCK").string(), {}, &lock, nullptr);
        if (!locked.ok())
            return std::unexpected(Error{
                Errc::locked,
                fmt::format("data_dir {} is in use; stop the daemon first", data_dir_.string())});
        auto looked = options_.repair ? Result<void>{} : check();
        if (options_.repair) looked = prepare();
        (void)files_->UnlockFile(lock, {}, nullptr);
        if (looked && options_.repair) looked = repair();
        for (const fs::path& path : {data_dir_, logs_}) give_to_owner_of(path);
        if (!looked) return std::unexpected(looked.error());
        return std::move(report_);
    }

  private:
    void find_file(std::string what, std::string mend) {
        report_.found.push_back({Kind::file, std::move(what), std::move(mend)});
    }

    Result<std::vector<LogDamage>> file_damage() {
        std::vector<LogDamage> all;
        const std::pair<decltype(&damage_of_logs), std::filesystem::path> looks[] = {
            {damage_of_manifest, directory_}, {damage_of_logs, logs_}};
        for (const auto& [look, where] : looks) {
            const auto damage = look(*files_, where);
            if (!damage) return std::unexpected(damage.error());
            all.insert(all.end(), damage->begin(), damage->end());
        }
        for (const LogDamage& damage : all)
            find_file(error_of(damage).what, damage.turned ? "turns the bit back: nothing is lost"
                                                           : "skips the records that do not hold");
        return all;
    }

    void find_deadly_tables() {
        deadly_ = deadly_tables(directory_);
        for (const fs::path& table : deadly_)
            find_file(fmt::format("table {} ends the process that opens it: its properties are "
                                  "damaged; nothing else can be looked at meanwhile",
                                  table.string()),
                      "goes on without it; what stood in it is lost");
    }

    bool has_current() const {
        std::ifstream in(directory_ / "CURRENT");
        std::string name;
        std::error_code error;
        return std::getline(in, name) && name.starts_with("MANIFEST-") &&
               fs::exists(directory_ / name, error);
    }

    // --- looking only

    Result<void> check() {
        const auto damage = file_damage();
        if (!damage) return std::unexpected(damage.error());
        if (!has_current())
            find_file("the file CURRENT is missing or names no manifest",
                      "names the newest manifest in it");
        find_deadly_tables();
        if (report_.found.empty()) {
            const auto status = open_to_read();
            if (!status.ok())
                find_file(fmt::format("the tables cannot be opened: {}", status.ToString()),
                          "goes on without those that are damaged");
            else
                look();
            find_broken_tables();
        }
        report_.left = report_.found;
        return {};
    }

    /// A family that is not there yet, as an older version has written the store, is null.
    rocksdb::Status open_to_read() {
        std::vector<std::string> there;
        const auto options = db_options();
        auto status = rocksdb::DB::ListColumnFamilies(options, directory_.string(), &there);
        if (!status.ok()) return status;
        auto wanted = family_descriptors(options_.memory_bytes);
        std::vector<size_t> missing;
        for (size_t f = 0; f < wanted.size(); ++f)
            if (std::ranges::find(there, wanted[f].name) == there.end()) missing.push_back(f);
        for (const size_t f : std::views::reverse(missing))
            wanted.erase(wanted.begin() + static_cast<ptrdiff_t>(f));
        rocksdb::DB* opened = nullptr;
        status = rocksdb::DB::OpenForReadOnly(options, directory_.string(), wanted,
                                              &opened_.families, &opened);
        opened_.db.reset(opened);
        if (status.ok())
            for (const size_t f : missing)
                opened_.families.insert(opened_.families.begin() + static_cast<ptrdiff_t>(f),
                                        nullptr);
        return status;
    }

    rocksdb::DBOptions db_options() const {
        rocksdb::DBOptions options = database_options(options_.memory_bytes);
        options.create_if_missing = false;
        if (logs_ != directory_) options.wal_dir = logs_.string();
        if (skip_records_)
            options.wal_recovery_mode = rocksdb::WALRecoveryMode::kSkipAnyCorruptedRecords;
        return options;
    }

    std::vector<BrokenTable> find_broken_tables() {
        if (!opened_.db) return {};
        auto broken =
            broken_tables(*opened_.db, opened_.families, directory_, options_.memory_bytes);
        for (const BrokenTable& table : broken) {
            if (std::ranges::find(deadly_, table.file) != deadly_.end()) continue;
            find_file(
                fmt::format("table {} cannot be opened: {}", table.file.string(), table.lost.why),
                "goes on without it; what stood in it is lost");
        }
        return broken;
    }

    void look() {
        scan_ = scan(*opened_.db, opened_.families, options_);
        const auto found = findings_of(scan_);
        report_.found.insert(report_.found.end(), found.begin(), found.end());
        report_.jobs = static_cast<uint64_t>(
            std::ranges::count_if(scan_.jobs, [](const auto& job) { return job.second.has_row; }));
        report_.contents = scan_.contents;
        report_.deliveries = scan_.rows.size();
        report_.queues = static_cast<uint64_t>(std::ranges::count_if(
            scan_.queues, [](const auto& queue) { return queue.second.has_value(); }));
        report_.events = scan_.events;
        report_.idempotency_keys = scan_.idempotency_keys;
        report_.suppressions = scan_.suppressions;
    }

    // --- mending

    /// Before the database is opened: its files.
    Result<void> prepare() {
        const auto damage = file_damage();
        if (!damage) return std::unexpected(damage.error());
        const bool current = has_current();
        if (!current)
            find_file("the file CURRENT is missing or names no manifest",
                      "names the newest manifest in it");
        find_deadly_tables();
        if (report_.found.empty()) return {};
        if (auto kept = keep_aside(); !kept) return kept;
        // One that is missing is taken out of the manifest like others that cannot be opened.
        for (const fs::path& table : deadly_) {
            std::error_code error;
            if (!fs::remove(table, error) && error)
                return std::unexpected(
                    Error{Errc::io, fmt::format("remove {}: {}", table.string(), error.message())});
        }
        for (const LogDamage& one : *damage) {
            if (one.turned) {
                if (auto turned = turn_back(one); !turned) return turned;
                report_.done.push_back(fmt::format("{}: a bit of byte {} turned back",
                                                   one.file.string(), one.turned->octet));
            } else {
                skip_records_ = true;
                report_.lost.push_back(
                    fmt::format("records of {} from byte {} on that do not hold: mail that was "
                                "accepted, or outcomes, by then",
                                one.file.string(), one.offset));
            }
        }
        return current ? Result<void>{} : write_current();
    }

    /// What is damaged is kept, for whoever wants to look at it or knows better.
    Result<void> keep_aside() {
        if (std::exchange(kept_aside_, true)) return {};
        const fs::path aside =
            data_dir_ / fmt::format("before-repair-{}", options_.now.time_since_epoch().count());
        std::error_code error;
        fs::create_directory(aside, error);
        for (const fs::path& from : std::set{directory_, logs_}) {  // often the same
            for (const auto& entry : fs::directory_iterator(from, error)) {
                if (!entry.is_regular_file()) continue;
                const auto kind = entry.path().extension();
                const fs::path to = aside / entry.path().filename();
                // Tables are never changed, so a link keeps them; the rest is written again in
                // place.
                if (kind == ".sst" || kind == ".blob")
                    fs::create_hard_link(entry.path(), to, error);
                else
                    fs::copy_file(entry.path(), to, fs::copy_options::skip_existing, error);
                if (error)
                    return std::unexpected(
                        Error{Errc::io, fmt::format("keep {} in {}: {}", entry.path().string(),
                                                    aside.string(), error.message())});
            }
        }
        report_.done.push_back("the files as they were are kept in " + aside.string());
        return {};
    }

    Result<void> write_current() {
        std::string newest;
        std::error_code error;
        for (const auto& entry : fs::directory_iterator(directory_, error)) {
            const std::string name = entry.path().filename();
            if (name.starts_with("MANIFEST-")) newest = std::max(newest, name);
        }
        if (newest.empty()) return {};  // then the tables are listed anew
        std::ofstream out(directory_ / "CURRENT", std::ios::trunc);
        out << newest << "\n";
        out.close();
        report_.done.push_back("CURRENT names " + newest);
        return {};
    }

    Result<void> repair() {
        if (auto opened = open_to_mend(); !opened) return opened;
        look();
        const bool events_damaged = scan_.events_damaged() || events_gone_;
        if (!scan_.gaps.empty() || copy_all_) {
            for (const Gap& gap : scan_.gaps) lose(gap, "a damaged block");
            if (auto copied = copy_and_swap(); !copied) return copied;
            scan_ = scan(*opened_.db, opened_.families, options_);
        }
        if (events_damaged) scan_.compare_no_events();
        if (auto mended = repair_records(*opened_.db, opened_.families, scan_, options_, report_);
            !mended)
            return mended;
        scan_ = scan(*opened_.db, opened_.families, options_);
        report_.left = findings_of(scan_);
        const auto status = opened_.db->Flush({}, opened_.families);
        opened_.close();
        if (!status.ok()) return std::unexpected(error_of(status, "close " + directory_.string()));
        return {};
    }

    void lose(const Gap& gap, std::string_view where) {
        report_.lost.push_back(
            gap.family == Family::suppression
                ? "addresses that mail must not go to; import them again: " + in_words(gap)
                : fmt::format("what stood in {} of family {}", where, name_of(gap.family)));
    }

    rocksdb::Status open_to_write(bool paranoid = true) {
        opened_.close();
        rocksdb::DB* opened = nullptr;
        auto options = db_options();
        options.paranoid_checks = paranoid;
        options.verify_sst_unique_id_in_manifest = paranoid;
        const auto status = rocksdb::DB::Open(options, directory_.string(), descriptors(),
                                              &opened_.families, &opened);
        opened_.db.reset(opened);
        return status;
    }
    /// Nothing is compacted meanwhile: that would only run into what is damaged.
    std::vector<rocksdb::ColumnFamilyDescriptor> descriptors() const {
        auto all = family_descriptors(options_.memory_bytes);
        for (auto& one : all) one.options.disable_auto_compactions = true;
        return all;
    }

    Result<void> open_to_mend() {
        auto status = open_to_write();
        // By its whole words: "block checksum mismatch" is none of a lock.
        if (status.IsIOError() && status.ToString().contains("lock file"))
            return std::unexpected(Error{Errc::locked, "data_dir " + data_dir_.string() +
                                                           " is in use; stop the daemon first"});
        copy_all_ = !status.ok();
        if (copy_all_) {
            find_file(fmt::format("the tables cannot be opened: {}", status.ToString()),
                      "goes on without those that are damaged");
            if (auto kept = keep_aside(); !kept) return kept;
            status = open_to_write(false);
        }
        if (!status.ok()) return list_tables_anew(status);
        const auto broken = find_broken_tables();
        if (broken.empty()) return {};
        if (auto gone = go_without(broken); !gone) return gone;
        status = open_to_write();
        copy_all_ = !status.ok();
        if (copy_all_) status = open_to_write(false);
        return status.ok() ? Result<void>{} : list_tables_anew(status);
    }

    /// Afterwards the database is closed.
    Result<void> go_without(std::span<const BrokenTable> tables) {
        if (auto kept = keep_aside(); !kept) return kept;
        opened_.close();
        if (auto forgotten = forget_tables(directory_, tables); !forgotten) return forgotten;
        for (const BrokenTable& table : tables) {
            lose(table.lost, "table " + table.file.filename().string());
            events_gone_ |= table.lost.family == Family::event || table.lost.family == Family::meta;
        }
        report_.done.push_back(fmt::format(
            "tables that cannot be opened, taken out of the manifest: {}", tables.size()));
        return {};
    }

    /// Where there is no manifest to be read. This knows no blob files, so large contents are lost.
    Result<void> list_tables_anew(const rocksdb::Status& why) {
        if (auto kept = keep_aside(); !kept) return kept;
        opened_.close();
        const auto repaired = rocksdb::RepairDB(directory_.string(), db_options(), descriptors());
        if (!repaired.ok())
            return std::unexpected(error_of(repaired, "repair " + directory_.string()));
        report_.done.push_back(
            "RocksDB has listed the tables that can be read anew; the others are in " +
            (directory_ / "lost").string());
        report_.lost.push_back("what stood in tables that cannot be opened: " + why.ToString());
        copy_all_ = false;
        events_gone_ = true;  // it does not say of which families tables are left out
        const auto status = open_to_write();
        if (!status.ok()) return std::unexpected(error_of(status, "open " + directory_.string()));
        return {};
    }

    Result<void> copy_and_swap() {
        const fs::path fresh = data_dir_ / "rocksdb.repaired";
        std::error_code error;
        fs::remove_all(fresh, error);  // of a repair that was cut
        if (auto copied = copy_readable(*opened_.db, opened_.families, fresh, options_); !copied)
            return copied;
        opened_.close();
        // In one step: a data_dir without its database would be taken for a new one.
        if (::renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, directory_.c_str(), RENAME_EXCHANGE) !=
            0)
            return std::unexpected(
                Error{Errc::io, fmt::format("put {} in the place of {}: {}", fresh.string(),
                                            directory_.string(), std::strerror(errno))});
        const fs::path old =
            data_dir_ / fmt::format("rocksdb.damaged-{}", options_.now.time_since_epoch().count());
        fs::rename(fresh, old, error);
        // Whatever the old log held was written into tables when the database was opened.
        if (logs_ != directory_)
            for (const auto& entry : fs::directory_iterator(logs_, error))
                if (entry.path().extension() == ".log")
                    fs::rename(entry.path(), old / entry.path().filename(), error);
        report_.done.push_back(
            "all that can be read copied into new tables; the damaged ones are in " + old.string());
        const auto status = open_to_write();
        if (!status.ok()) return std::unexpected(error_of(status, "open " + directory_.string()));
        return {};
    }

    const FsckOptions& options_;
    fs::path data_dir_, directory_, logs_;
    std::shared_ptr<rocksdb::FileSystem> files_;
    std::vector<fs::path> deadly_;  // tables
    bool kept_aside_ = false;
    bool skip_records_ = false;
    bool copy_all_ = false;     // RocksDB opens it only when it does not look closely
    bool events_gone_ = false;  // with a table that may have held some
    Opened opened_;
    Scan scan_;
    FsckReport report_;
};

}  // namespace

bool FsckReport::sound() const {
    return std::ranges::all_of(left, [](const FsckFinding& f) { return f.kind == Kind::orphan; });
}

Result<FsckReport> fsck(const FsckOptions& options) {
    return Fsck(options).run();
}

}  // namespace storage
