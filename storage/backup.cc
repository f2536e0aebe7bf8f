#include "storage/backup.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <rocksdb/utilities/checkpoint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>

#include "storage/errors.h"
#include "storage/ownership.h"
#include "storage/state.h"

namespace storage {

namespace {

namespace fs = std::filesystem;
// Written last: a backup without it was cut.
constexpr auto label_name = "sluice-backup";
constexpr auto label_title = "sluice backup 1";
constexpr auto restoring_name = "restoring";

std::unexpected<Error> failed(const fs::path& path, std::string_view doing, int number) {
    return std::unexpected(
        Error{number == ENOSPC ? Errc::no_space : Errc::io,
              fmt::format("{} {}: {}", doing, path.string(), std::strerror(number))});
}

/// Returns errno.
int sync_path(const fs::path& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return errno;
    const int number = ::fsync(fd) == 0 ? 0 : errno;
    ::close(fd);
    return number;
}

/// Mail is in it. Returns errno.
int make_private(const fs::path& directory) {
    return ::mkdir(directory.c_str(), 0750) == 0 ? 0 : errno;
}

uint64_t bytes_in(const fs::path& directory) {
    uint64_t sum = 0;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(directory, error))
        if (entry.is_regular_file(error)) sum += entry.file_size(error);
    return sum;
}

Result<void> write_label(const fs::path& directory, const Backup& backup) {
    const fs::path label = directory / label_name;
    {
        std::ofstream out(label);
        out << label_title << "\ntime " << backup.time.time_since_epoch().count() << "\nbytes "
            << backup.bytes << "\nlast_event " << backup.last_event << "\nopen " << backup.open
            << "\naccepted " << backup.accepted << "\n";
        if (!out.flush()) return failed(label, "write", errno);
    }
    for (const fs::path& path : {label, directory, directory.parent_path()})
        if (const int number = sync_path(path)) return failed(path, "sync", number);
    return {};
}

/// Missing, empty, or with what a restore that was cut has left.
bool may_be_filled(const fs::path& data_dir) {
    std::error_code error;
    if (!fs::exists(data_dir, error)) return true;
    if (!fs::is_directory(data_dir, error)) return false;
    for (const auto& entry : fs::directory_iterator(data_dir, error)) {
        const fs::path name = entry.path().filename();
        if (name != restoring_name && name != "lost+found") return false;
    }
    return !error;
}

}  // namespace

Result<Backup> Store::backup(const fs::path& given, WallTime now) {
    const fs::path target = given.lexically_normal();
    const auto refuse = [&](std::string_view why) {
        return std::unexpected(Error{Errc::invalid, fmt::format("{} {}", target.string(), why)});
    };
    std::error_code error;
    if (!target.is_absolute()) return refuse("is no absolute path: the daemon works elsewhere");
    if (fs::exists(target, error)) return refuse("exists; name a directory that does not");
    if (!fs::is_directory(target.parent_path(), error))
        return refuse("has no parent directory; create that one");
    if (const int number = make_private(target)) return failed(target, "create", number);

    Backup backup{.time = now};
    rocksdb::Checkpoint* made = nullptr;
    rocksdb::Status status = rocksdb::Checkpoint::Create(state_->db.get(), &made);
    const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
    backup.last_event = last_event();  // at least these are in it
    const Ledger counts = ledger();
    // Without a flush: what is not in tables yet is copied with the log, and commits go on.
    if (status.ok())
        status = checkpoint->CreateCheckpoint((target / "rocksdb").string(), UINT64_MAX);
    if (!status.ok()) {
        fs::remove_all(target, error);
        return std::unexpected(error_of(status, "back up to " + target.string()));
    }
    for (const auto& [tenant, one] : counts) {
        backup.open += one.open();
        backup.accepted += one.accepted;
    }
    backup.bytes = bytes_in(target / "rocksdb");
    for (const auto& entry : fs::directory_iterator(target / "rocksdb", error))
        if (const int number = sync_path(entry.path())) return failed(entry.path(), "sync", number);
    if (const int number = sync_path(target / "rocksdb")) return failed(target, "sync", number);
    if (auto labelled = write_label(target, backup); !labelled)
        return std::unexpected(labelled.error());
    return backup;
}

Result<Backup> read_backup(const fs::path& directory) {
    std::ifstream in(directory / label_name);
    std::string line;
    std::getline(in, line);
    if (line != label_title)
        return std::unexpected(
            Error{Errc::invalid,
                  fmt::format("{} is no backup of this version, or one that was not finished: "
                              "its file {} is missing or says otherwise",
                              directory.string(), label_name)});
    Backup backup;
    std::string name;
    int64_t value = 0;
    while (in >> name >> value) {
        const auto count = static_cast<uint64_t>(value);
        if (name == "time") backup.time = WallTime(std::chrono::milliseconds(value));
        if (name == "bytes") backup.bytes = count;
        if (name == "last_event") backup.last_event = count;
        if (name == "open") backup.open = count;
        if (name == "accepted") backup.accepted = count;
    }
    return backup;
}

Result<Backup> restore_backup(const fs::path& directory, const fs::path& given) {
    auto backup = read_backup(directory);
    if (!backup) return backup;
    std::error_code error;
    const fs::path data_dir = fs::absolute(given, error).lexically_normal();
    if (!may_be_filled(data_dir))
        return std::unexpected(Error{
            Errc::invalid, fmt::format("{} is not empty; move it away, or name another directory: "
                                       "a restore never writes over a queue",
                                       data_dir.string())});
    if (const int number = make_private(data_dir); number == 0)
        give_to_owner_of_parent(data_dir);
    else if (number != EEXIST)
        return failed(data_dir, "create", number);
    // Under another name first: half of a queue must not be taken for one. Within data_dir, which
    // may be the root of a file system.
    const fs::path fresh = data_dir / restoring_name;
    fs::remove_all(fresh, error);
    fs::create_directories(fresh / "rocksdb", error);
    if (error) return failed(fresh, "create", error.value());
    for (const auto& entry : fs::directory_iterator(directory / "rocksdb", error)) {
        const fs::path to = fresh / "rocksdb" / entry.path().filename();
        // Copied and not linked: one disk error must not cost the backup with the queue.
        fs::copy_file(entry.path(), to, error);
        if (error) return failed(to, "write", error.value());
        if (const int number = sync_path(to)) return failed(to, "sync", number);
    }
    if (error) return failed(directory / "rocksdb", "read", error.value());
    if (bytes_in(fresh / "rocksdb") != backup->bytes)
        return std::unexpected(Error{
            Errc::corruption, fmt::format("{} has other files than when it was made: it has been "
                                          "changed, or a copy of it is incomplete",
                                          directory.string())});
    if (const int number = sync_path(fresh / "rocksdb")) return failed(fresh, "sync", number);
    give_to_owner_of(data_dir);
    fs::rename(fresh / "rocksdb", data_dir / "rocksdb", error);
    if (error) return failed(data_dir, "rename to", error.value());
    fs::remove(fresh, error);
    for (const fs::path& path : {data_dir, data_dir.parent_path()})
        if (const int number = sync_path(path)) return failed(path, "sync", number);
    return backup;
}

}  // namespace storage
