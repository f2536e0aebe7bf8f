#include "storage/log_check.h"

#include <fmt/format.h>
#include <rocksdb/slice.h>

#include <algorithm>
#include <array>
#include <memory>

#include "storage/errors.h"

namespace storage {

namespace {

// The log's format: blocks of 32 KiB; in them fragments of checksum (4 octets), length (2), kind
// (1) and bytes. What is left of a block and too short for a header is zeros.
constexpr size_t block_bytes = 32768;
constexpr size_t header_bytes = 7;
enum Kind : uint8_t { whole = 1, first = 2, middle = 3, last = 4 };

constexpr auto crc_table = [] {
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < table.size(); ++i) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78U : 0U);
        table[i] = crc;
    }
    return table;
}();

// CRC-32C as RocksDB stores it: rotated and shifted, so that a checksum of a checksum differs.
uint32_t masked_crc(std::string_view bytes) {
    uint32_t crc = ~0U;
    for (const char octet : bytes)
        crc = crc_table[(crc ^ static_cast<uint8_t>(octet)) & 0xff] ^ crc >> 8;
    crc = ~crc;
    return (crc >> 15 | crc << 17) + 0xa282ead8U;
}

uint32_t little_endian(std::string_view bytes) {
    uint32_t value = 0;
    for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[i]);
    return value;
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

// Walks over one log. Remembers the first place that does not hold; a record that begins behind it
// is proof of damage.
class Walk {
  public:
    /// Where the damage is, once it is proved.
    std::optional<uint64_t> block(std::string_view block, uint64_t offset) {
        size_t at = 0;
        while (!broken_at_ && at + header_bytes <= block.size()) {
            const auto fragment = fragment_at(block.substr(at));
            if (!fragment) {
                broken_at_ = offset + at;
                break;
            }
            at += fragment->bytes;
        }
        // Behind a damaged length nobody knows where the next fragment is; within this block every
        // octet may be it.
        for (; broken_at_ && at + header_bytes <= block.size(); ++at) {
            const auto fragment = fragment_at(block.substr(at));
            if (fragment && begins_record(*fragment)) return broken_at_;
        }
        return std::nullopt;
    }

  private:
    std::optional<uint64_t> broken_at_;
};

Error damage(const std::filesystem::path& file, uint64_t offset) {
    return {
        Errc::corruption,
        fmt::format("log {} is damaged at byte {}, and acknowledged mail stands behind it; check "
                    "the disk, then restore data_dir from a backup, or cut the file there "
                    "(truncate -s {}) to start without what follows",
                    file.string(), offset, offset)};
}

Result<void> check_log(rocksdb::FileSystem& files, const std::filesystem::path& path) {
    const auto failed = [&](const rocksdb::IOStatus& status) {
        return std::unexpected(error_of(status, "check log " + path.string()));
    };
    std::unique_ptr<rocksdb::FSSequentialFile> file;
    auto status = files.NewSequentialFile(path.string(), {}, &file, nullptr);
    if (!status.ok()) return failed(status);
    std::string buffer(block_bytes, '\0');
    Walk walk;
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
        if (const auto at = walk.block({buffer.data(), filled}, offset))
            return std::unexpected(damage(path, *at));
        if (filled < block_bytes) return {};
    }
}

}  // namespace

Result<void> check_logs(rocksdb::FileSystem& files, const std::filesystem::path& directory) {
    std::vector<std::string> names;
    const auto status = files.GetChildren(directory.string(), {}, &names, nullptr);
    if (status.IsNotFound()) return {};
    if (!status.ok())
        return std::unexpected(error_of(status, "read the directory " + directory.string()));
    for (const std::string& name : names) {
        if (!name.ends_with(".log")) continue;
        if (auto checked = check_log(files, directory / name); !checked) return checked;
    }
    return {};
}

}  // namespace storage
