// CRC-32C, the checksum of RocksDB's log. Debian's RocksDB is built without the instruction that
// every x86 of the last fifteen years has for it, and looks each octet up in tables: 2 of the 14 us
// of CPU that commits of a mail of 2 KiB took. So ours stands in the place of the library's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace storage {

/// Goes on from the checksum of what stands before `bytes`; 0: nothing does.
uint32_t crc32c(uint32_t before, std::string_view bytes);

/// [n][x]: what an octet x adds to the checksum of itself and n further octets, not inverted.
using Crc32cTables = std::array<std::array<uint32_t, 256>, 8>;
extern const Crc32cTables crc32c_tables;

}  // namespace storage
