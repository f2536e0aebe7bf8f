#include "storage/crc32c.h"

#include <bit>
#include <cstring>

namespace storage {

namespace {

constexpr Crc32cTables make_tables() {
    Crc32cTables tables{};
    for (uint32_t i = 0; i < 256; ++i) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78U : 0U);
        tables[0][i] = crc;
    }
    for (size_t n = 1; n < tables.size(); ++n)
        for (uint32_t i = 0; i < 256; ++i)
            tables[n][i] = tables[n - 1][i] >> 8 ^ tables[0][tables[n - 1][i] & 0xff];
    return tables;
}

uint64_t word_at(std::string_view bytes) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data(), sizeof word);
    return word;
}

/// Eight octets a step, as a start checks the whole log.
uint32_t by_tables(uint32_t crc, std::string_view bytes) {
    constexpr size_t step = sizeof(uint64_t);
    for (; bytes.size() >= step; bytes.remove_prefix(step)) {
        uint64_t word = word_at(bytes);
        if constexpr (std::endian::native == std::endian::big) word = std::byteswap(word);
        word ^= crc;
        crc = 0;
        for (size_t n = 0; n < step; ++n)
            crc ^= crc32c_tables[step - 1 - n][word >> (8 * n) & 0xff];
    }
    for (const char octet : bytes)
        crc = crc32c_tables[0][(crc ^ static_cast<uint8_t>(octet)) & 0xff] ^ crc >> 8;
    return crc;
}

#if defined(__x86_64__)
[[gnu::target("sse4.2")]] uint32_t by_instruction(uint32_t crc, std::string_view bytes) {
    uint64_t wide = crc;
    for (; bytes.size() >= sizeof wide; bytes.remove_prefix(sizeof wide))
        wide = __builtin_ia32_crc32di(wide, word_at(bytes));
    crc = static_cast<uint32_t>(wide);
    for (const char octet : bytes)
        crc = __builtin_ia32_crc32qi(crc, static_cast<unsigned char>(octet));
    return crc;
}
#endif

}  // namespace

constinit const Crc32cTables crc32c_tables = make_tables();

uint32_t crc32c(uint32_t before, std::string_view bytes) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2")) return ~by_instruction(~before, bytes);
#endif
    return ~by_tables(~before, bytes);
}

}  // namespace storage

// RocksDB calls its own through the table of dynamic symbols, and a program comes before its
// libraries there. A RocksDB that is linked statically would refuse this at the link, for standing
// twice.
namespace rocksdb::crc32c {
uint32_t Extend(uint32_t before, const char* bytes, size_t count);
uint32_t Extend(uint32_t before, const char* bytes, size_t count) {
    return storage::crc32c(before, {bytes, count});
}
}  // namespace rocksdb::crc32c
