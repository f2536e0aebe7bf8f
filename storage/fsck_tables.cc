#include "storage/fsck_tables.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <rocksdb/sst_file_reader.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>

#include "storage/log_format.h"

namespace storage {

namespace {

namespace fs = std::filesystem;

/// Why it cannot be opened.
std::optional<std::string> why_broken(const fs::path& file, uint64_t bytes,
                                      const rocksdb::ColumnFamilyOptions& options) {
    std::error_code error;
    if (const auto there = fs::file_size(file, error); error || there != bytes)
        return error ? error.message()
                     : fmt::format("it has {} bytes and should have {}", there, bytes);
    rocksdb::SstFileReader reader(rocksdb::Options(rocksdb::DBOptions(), options));
    if (const auto status = reader.Open(file.string()); !status.ok()) return status.ToString();
    // RocksDB would open it and cannot tell from whom it is, nor how its index is to be read.
    const auto properties = reader.GetTableProperties();
    if (!properties || properties->db_session_id.empty()) return "its properties cannot be read";
    return std::nullopt;
}

void put_varint(std::string& to, uint64_t value) {
    for (; value >= 0x80; value >>= 7) to.push_back(static_cast<char>(value | 0x80));
    to.push_back(static_cast<char>(value));
}

/// RocksDB's VersionEdit: a file that is no longer there, and of which family.
std::string edit_without(const BrokenTable& table) {
    constexpr uint64_t deleted_file = 6, column_family = 200;
    std::string edit;
    put_varint(edit, deleted_file);
    put_varint(edit, static_cast<uint64_t>(table.level));
    put_varint(edit, table.number);
    if (table.family_id == 0) return edit;
    put_varint(edit, column_family);
    put_varint(edit, table.family_id);
    return edit;
}

Result<void> append(const fs::path& file, std::string_view bytes) {
    const int fd = ::open(file.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
    const bool written =
        fd >= 0 && ::write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()) &&
        ::fsync(fd) == 0;
    const int error = errno;
    if (fd >= 0) ::close(fd);
    if (written) return {};
    return std::unexpected(
        Error{Errc::io, fmt::format("mend {}: {}", file.string(), std::strerror(error))});
}

}  // namespace

std::vector<BrokenTable> broken_tables(rocksdb::DB& db,
                                       std::span<rocksdb::ColumnFamilyHandle* const> families,
                                       const fs::path& directory, size_t memory_bytes) {
    std::vector<BrokenTable> broken;
    const auto descriptors = family_descriptors(memory_bytes);
    for (size_t f = 0; f < families.size(); ++f) {
        if (!families[f]) continue;
        rocksdb::ColumnFamilyMetaData tables;
        db.GetColumnFamilyMetaData(families[f], &tables);
        for (const auto& level : tables.levels) {
            for (const auto& table : level.files) {
                const fs::path file = directory / table.relative_filename;
                auto why = why_broken(file, table.size, descriptors[f].options);
                if (!why) continue;
                broken.push_back({.file = file,
                                  .lost = {.family = static_cast<Family>(f),
                                           .after = table.smallestkey,
                                           .before = table.largestkey,
                                           .why = std::move(*why)},
                                  .family_id = families[f]->GetID(),
                                  .level = level.level,
                                  .number = table.file_number});
            }
        }
    }
    return broken;
}

Result<void> forget_tables(const fs::path& directory, std::span<const BrokenTable> tables) {
    std::ifstream current(directory / "CURRENT");
    std::string name;
    std::getline(current, name);
    const fs::path manifest = directory / name;
    std::error_code error;
    const uint64_t bytes = fs::file_size(manifest, error);
    if (error)
        return std::unexpected(
            Error{Errc::io, fmt::format("read {}: {}", manifest.string(), error.message())});
    std::string appended;
    for (const BrokenTable& table : tables)
        appended += log_format::appended_record(bytes + appended.size(), edit_without(table));
    return append(manifest, appended);
}

}  // namespace storage
