#include "storage/log_check.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <rocksdb/slice.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>

#include "storage/crc32c.h"
#include "storage/errors.h"
#include "storage/log_format.h"

namespace storage {

namespace {

using namespace log_format;

uint32_t unmasked(uint32_t stored) {
    const uint32_t turned = stored - 0xa282ead8U;
    return turned >> 17 | turned << 15;
}

struct Fragment {
    Kind kind{};
    size_t bytes = 0;  // with its header
};
std::optional<Fragment> fragment_at(std::string_view rest_of_block) {
    if (rest_of_block.size() < header_bytes) return std::nullopt;
    const size_t length = little_endian(rest_of_block.substr(4, 2));
    const auto kind = static_cast<uint8_t>(rest_of_block[6]);
    if (kind < whole || kind > last || length > rest_of_block.size() - header_bytes)
        return std::nullopt;
    const std::string_view covered = rest_of_block.substr(6, 1 + length);  // the kind and the bytes
    if (masked_crc(covered) != little_endian(rest_of_block.substr(0, 4))) return std::nullopt;
    return Fragment{static_cast<Kind>(kind), header_bytes + length};
}

bool begins_record(const Fragment& fragment) {
    return fragment.kind == whole || fragment.kind == first;
}

/// Which single bit of `covered`, kind and bytes, turned back gives this checksum. What a bit adds
/// to a CRC hangs only on how far it is from the end.
std::optional<LogDamage::Bit> turned_in(std::string_view covered, uint32_t stored) {
    const uint32_t off = unmasked(masked_crc(covered)) ^ unmasked(stored);
    std::array<uint32_t, 8> adds{};
    for (size_t bit = 0; bit < adds.size(); ++bit) adds[bit] = crc32c_tables[0][size_t{1} << bit];
    for (size_t at = covered.size(); at-- > 0;) {
        for (size_t bit = 0; bit < adds.size(); ++bit) {
            if (adds[bit] == off) return LogDamage::Bit{at, static_cast<uint8_t>(1U << bit)};
            adds[bit] = crc32c_tables[0][adds[bit] & 0xff] ^ adds[bit] >> 8;
        }
    }
    return std::nullopt;
}

/// The bit, as an offset into `rest_of_block`, that alone keeps the fragment there from holding.
std::optional<LogDamage::Bit> turned_bit(std::string_view rest_of_block) {
    if (rest_of_block.size() < header_bytes) return std::nullopt;
    const uint32_t stored = little_endian(rest_of_block.substr(0, 4));
    const auto length = static_cast<uint16_t>(little_endian(rest_of_block.substr(4, 2)));
    const auto kind = static_cast<uint8_t>(rest_of_block[6]);
    const size_t room = rest_of_block.size() - header_bytes;
    for (unsigned bit = 0; bit < 16 && is_kind(kind); ++bit) {
        const size_t other = length ^ 1U << bit;
        if (other <= room && masked_crc(rest_of_block.substr(6, 1 + other)) == stored)
            return LogDamage::Bit{4 + bit / 8, static_cast<uint8_t>(1U << bit % 8)};
    }
    if (length > room) return std::nullopt;
    const std::string_view covered = rest_of_block.substr(6, 1 + length);
    if (const uint32_t differs = masked_crc(covered) ^ stored;
        is_kind(kind) && std::has_single_bit(differs)) {
        const auto bit = static_cast<unsigned>(std::countr_zero(differs));
        return LogDamage::Bit{bit / 8, static_cast<uint8_t>(1U << bit % 8)};
    }
    auto turned = turned_in(covered, stored);
    if (!turned) return std::nullopt;
    if (turned->octet == 0 && !is_kind(kind ^ turned->mask)) return std::nullopt;
    turned->octet += 6;
    return turned;
}

/// Whether the disk may never have been given the sector that this octet is in. The fragment begins
/// at `at` of a block, and blocks begin where sectors do.
bool may_be_unwritten(std::string_view block, size_t at, size_t octet) {
    constexpr size_t sector_bytes = 512;
    const size_t length = little_endian(block.substr(at + 4, 2));
    const size_t sector = octet / sector_bytes * sector_bytes;
    const size_t begin = std::max(sector, at);
    const size_t end = std::min(sector + sector_bytes, at + header_bytes + length);
    return end <= block.size() &&
           block.substr(begin, end - begin).find_first_not_of('\0') == std::string_view::npos;
}

/// How records come to be on disk, and so what may stand behind a torn one.
enum class Written : uint8_t { one_by_one, together };

// Walks over one file and remembers the first place that does not hold.
class Walk {
  public:
    Walk(std::filesystem::path file, Written written)
        : damage_{.file = std::move(file)}, written_(written) {}

    /// The damage, once it is proved to be none of a power cut.
    std::optional<LogDamage> block(std::string_view block, uint64_t offset) {
        size_t at = 0;
        while (!broken_ && at + header_bytes <= block.size()) {
            const auto fragment = fragment_at(block.substr(at));
            if (!fragment) {
                broken_ = true;
                damage_.offset = offset + at;
                damage_.turned = turned_bit(block.substr(at));
                if (damage_.turned) {
                    damage_.sector_is_zeros =
                        may_be_unwritten(block, at, at + damage_.turned->octet);
                    damage_.turned->octet += offset + at;
                    return damage_;
                }
                break;
            }
            at += fragment->bytes;
        }
        if (written_ == Written::together) return std::nullopt;
        // Behind a damaged length nobody knows where the next fragment is; within this block every
        // octet may be it.
        for (; broken_ && at + header_bytes <= block.size(); ++at) {
            const auto fragment = fragment_at(block.substr(at));
            if (fragment && begins_record(*fragment)) return damage_;
        }
        return std::nullopt;
    }

  private:
    LogDamage damage_;
    Written written_;
    bool broken_ = false;
};

Result<std::optional<LogDamage>> damage_of(rocksdb::FileSystem& files,
                                           const std::filesystem::path& path, Written written) {
    const auto failed = [&](const rocksdb::IOStatus& status) {
        return std::unexpected(error_of(status, "check " + path.string()));
    };
    std::unique_ptr<rocksdb::FSSequentialFile> file;
    auto status = files.NewSequentialFile(path.string(), {}, &file, nullptr);
    if (!status.ok()) return failed(status);
    std::string buffer(block_bytes, '\0');
    Walk walk(path, written);
    for (uint64_t offset = 0;; offset += block_bytes) {
        size_t filled = 0;
        while (filled < block_bytes) {  // a read may give less than it was asked for
            rocksdb::Slice read;
            status = file->Read(block_bytes - filled, {}, &read, buffer.data() + filled, nullptr);
            if (!status.ok()) return failed(status);
            if (read.empty()) break;
            if (read.data() != buffer.data() + filled)
                std::ranges::copy(std::string_view(read.data(), read.size()),
                                  buffer.begin() + static_cast<ptrdiff_t>(filled));
            filled += read.size();
        }
        if (auto damage = walk.block({buffer.data(), filled}, offset)) return damage;
        if (filled < block_bytes) return std::nullopt;
    }
}

}  // namespace

Error error_of(const LogDamage& damage) {
    const std::string file = damage.file.string();
    if (damage.turned)
        return {Errc::corruption,
                fmt::format(
                    "{} is damaged: a bit of byte {} is wrong in a record that was whole; check "
                    "the disk, then mend it with sluice fsck --repair: nothing is lost",
                    file, damage.turned->octet)};
    return {
        Errc::corruption,
        fmt::format("log {} is damaged at byte {}, and acknowledged mail stands behind it; check "
                    "the disk, then restore data_dir from a backup, or let sluice fsck --repair "
                    "save what can be read and say what is lost",
                    file, damage.offset)};
}

Result<void> turn_back(const LogDamage& damage) {
    std::fstream file(damage.file, std::ios::in | std::ios::out | std::ios::binary);
    const auto at = static_cast<std::streamoff>(damage.turned->octet);
    file.seekg(at);
    const auto octet = static_cast<char>(file.get() ^ damage.turned->mask);
    file.seekp(at);
    file.put(octet).flush();
    const int fd = file ? ::open(damage.file.c_str(), O_WRONLY | O_CLOEXEC) : -1;
    const bool synced = fd >= 0 && ::fsync(fd) == 0;
    const int error = errno;
    if (fd >= 0) ::close(fd);
    if (synced) return {};
    return std::unexpected(
        Error{Errc::io, fmt::format("mend {}: {}", damage.file.string(), std::strerror(error))});
}

Result<std::vector<LogDamage>> damage_of_logs(rocksdb::FileSystem& files,
                                              const std::filesystem::path& logs) {
    std::vector<LogDamage> found;
    std::vector<std::string> names;
    const auto status = files.GetChildren(logs.string(), {}, &names, nullptr);
    if (status.IsNotFound()) return found;
    if (!status.ok())
        return std::unexpected(error_of(status, "read the directory " + logs.string()));
    std::ranges::sort(names);
    for (const std::string& name : names) {
        if (!name.ends_with(".log")) continue;
        auto damage = damage_of(files, logs / name, Written::one_by_one);
        if (!damage) return std::unexpected(damage.error());
        if (*damage) found.push_back(std::move(**damage));
    }
    return found;
}

Result<std::vector<LogDamage>> damage_of_manifest(rocksdb::FileSystem& files,
                                                  const std::filesystem::path& directory) {
    std::vector<LogDamage> found;
    std::string name;
    const auto read = rocksdb::ReadFileToString(&files, (directory / "CURRENT").string(), &name);
    if (!read.ok()) return found;  // no store yet, or RocksDB will say why
    while (name.ends_with('\n')) name.pop_back();
    if (!files.FileExists((directory / name).string(), {}, nullptr).ok()) return found;
    auto damage = damage_of(files, directory / name, Written::together);
    if (!damage) return std::unexpected(damage.error());
    if (*damage) found.push_back(std::move(**damage));
    return found;
}

}  // namespace storage
