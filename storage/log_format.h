// The format of RocksDB's log, and of its manifest: blocks of 32 KiB; in them fragments of checksum
// (4 octets), length (2), kind (1) and bytes. What is left of a block and too short for a header is
// zeros.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace storage::log_format {

inline constexpr size_t block_bytes = 32768;
inline constexpr size_t header_bytes = 7;
enum Kind : uint8_t { whole = 1, first = 2, middle = 3, last = 4 };
constexpr bool is_kind(uint8_t kind) {
    return kind >= whole && kind <= last;
}

/// CRC-32C as RocksDB stores it: rotated and shifted, so that a checksum of a checksum differs.
uint32_t masked_crc(std::string_view bytes);
uint32_t little_endian(std::string_view bytes);

/// What has to be appended to a file of this length so that it has one record more.
std::string appended_record(uint64_t file_bytes, std::string_view record);

}  // namespace storage::log_format
