#include "storage/log_place.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <random>

namespace storage {

namespace {

namespace fs = std::filesystem;
constexpr auto record_name = "log_place";  // in data_dir: the directory, and the token
constexpr auto owner_name = "OWNER";       // in the directory of the log: the token, and data_dir
constexpr auto directory_name = "rocksdb-log";  // within log_dir

std::unexpected<Error> refuse(std::string what, Errc code = Errc::invalid) {
    return std::unexpected(Error{code, std::move(what)});
}

std::unexpected<Error> failed(const fs::path& path, std::string_view doing) {
    return refuse(
        fmt::format("{} {}: {}; check the path and give user {} permission to write there", doing,
                    path.string(), std::strerror(errno), ::geteuid()),
        Errc::io);
}

/// Durable as a whole or not at all.
Result<void> write_file(const fs::path& path, const std::string& text) {
    const fs::path fresh = path.string() + ".new";
    const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0) return failed(fresh, "write");
    const bool written =
        ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
        ::fsync(fd) == 0;
    ::close(fd);
    if (!written || ::rename(fresh.c_str(), path.c_str()) != 0) return failed(path, "write");
    const int directory = ::open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool synced = directory >= 0 && ::fsync(directory) == 0;
    if (directory >= 0) ::close(directory);
    if (!synced) return failed(path.parent_path(), "sync");
    return {};
}

/// The first line; empty when there is no such file.
std::string token_in(const fs::path& logs) {
    std::ifstream in(logs / owner_name);
    std::string token;
    std::getline(in, token);
    return token;
}

std::string owner_in(const fs::path& logs) {
    std::ifstream in(logs / owner_name);
    std::string line;
    std::getline(in, line);
    std::getline(in, line);
    return line;
}

std::string new_token() {
    std::random_device random;
    return fmt::format("{:08x}{:08x}{:08x}{:08x}", random(), random(), random(), random());
}

bool is_same(const fs::path& a, const fs::path& b) {
    std::error_code ignored;
    return a.lexically_normal() == b.lexically_normal() || fs::equivalent(a, b, ignored);
}

}  // namespace

LogPlace::LogPlace(fs::path data_dir, fs::path rocksdb, fs::path wanted)
    : data_dir_(std::move(data_dir)),
      rocksdb_(std::move(rocksdb)),
      wanted_(wanted.empty() ? rocksdb_
                             : fs::absolute(wanted).lexically_normal() / directory_name) {}

Result<std::optional<LogPlace::Record>> LogPlace::recorded() const {
    std::error_code error;
    if (!fs::exists(data_dir_ / record_name, error)) return std::nullopt;
    std::ifstream in(data_dir_ / record_name);
    std::string logs;
    Record record;
    if (!std::getline(in, logs) || !std::getline(in, record.token) || record.token.empty())
        return refuse(
            fmt::format("{} says where the write-ahead log of this queue is, and cannot be "
                        "read; restore it from a backup: two lines, the directory and the "
                        "first line of {} in it",
                        (data_dir_ / record_name).string(), owner_name),
            Errc::corruption);
    record.logs = logs;
    return record;
}

Result<fs::path> LogPlace::current() const {
    const auto step = decide();
    if (!step) return std::unexpected(step.error());
    return step->what == Step::What::settle ? step->from : wanted_;
}

Result<fs::path> LogPlace::take(const std::function<Result<void>(const fs::path&)>& settle) {
    const auto step = decide();
    if (!step) return std::unexpected(step.error());
    if (step->what == Step::What::settle) {
        if (auto moved = move(step->from, step->token, settle); !moved)
            return std::unexpected(moved.error());
    } else if (step->what == Step::What::claim) {
        if (auto claimed = claim(step->token); !claimed) return std::unexpected(claimed.error());
    }
    return wanted_;
}

Result<LogPlace::Step> LogPlace::decide() const {
    const auto record = recorded();
    if (!record) return std::unexpected(record.error());
    const bool inside = wanted_ == rocksdb_;
    if (!*record && inside) return Step{};
    const Record now = record->value_or(Record{rocksdb_, {}});
    const std::string token = now.token.empty() ? new_token() : now.token;
    const bool stays = is_same(now.logs, wanted_);
    const bool here = now.logs == rocksdb_ || token_in(now.logs) == token;
    const bool there = !inside && token_in(wanted_) == token;
    if (stays && here) return Step{};
    if (!stays && here && there)
        return refuse(
            fmt::format("the write-ahead log of {} is both in {} and in {}; acknowledged mail "
                        "may be in either: if the second is a copy that is newer than the "
                        "first, move the first away, else the second",
                        data_dir_.string(), now.logs.string(), wanted_.string()));
    if (!here && !there)
        return refuse(fmt::format(
            "the write-ahead log of {} was last in {}, and it is not there; acknowledged mail may "
            "be in it: mount that disk, or move the directory to {} and set [node] log_dir to its "
            "parent. If it is lost for good, remove {} and run sluice fsck --repair to go on "
            "without "
            "what it held",
            data_dir_.string(), now.logs.string(), wanted_.string(),
            (data_dir_ / record_name).string()));
    if (there) return Step{Step::What::claim, {}, token};  // moved by the operator
    if (auto theirs = check_owner(); !theirs) return std::unexpected(theirs.error());
    return Step{Step::What::settle, now.logs, token};  // moved by the setting
}

/// Whether the wanted place holds the log of another queue.
Result<void> LogPlace::check_owner() const {
    if (wanted_ == rocksdb_ || token_in(wanted_).empty()) return {};
    const std::string owner = owner_in(wanted_);
    if (is_same(owner, data_dir_))
        return refuse(fmt::format(
            "{} holds the write-ahead log of a queue that was in {} before this one; move it away, "
            "or put that queue back: what it acknowledged last may be in that log alone",
            wanted_.string(), data_dir_.string()));
    return refuse(
        fmt::format("{} holds the write-ahead log of {}; set [node] log_dir to a directory of this "
                    "queue's own",
                    wanted_.string(), owner));
}

Result<void> LogPlace::move(const fs::path& from, const std::string& token,
                            const std::function<Result<void>(const fs::path&)>& settle) {
    std::error_code error;
    const bool is_new = !fs::exists(rocksdb_ / "CURRENT", error);
    if (!is_new)
        if (auto settled = settle(from); !settled) return settled;
    if (auto claimed = claim(token); !claimed) return claimed;
    for (const auto& entry : fs::directory_iterator(from, error))
        if (entry.path().extension() == ".log") fs::remove(entry.path(), error);
    if (from != rocksdb_) fs::remove(from / owner_name, error);
    return {};
}

Result<void> LogPlace::claim(const std::string& token) const {
    // Not their parents: a missing one may be a disk that is not mounted.
    for (const fs::path& path : {wanted_.parent_path(), wanted_}) {
        std::error_code error;
        fs::create_directory(path, error);
        if (!error) continue;
        errno = error.value();
        return failed(path, "create");
    }
    if (wanted_ != rocksdb_)
        if (auto owned = write_file(wanted_ / owner_name, token + "\n" + data_dir_.string() + "\n");
            !owned)
            return owned;
    return write_file(data_dir_ / record_name, wanted_.string() + "\n" + token + "\n");
}

}  // namespace storage
