#include "storage/crc32c.h"

#include <dlfcn.h>

#include <numeric>
#include <string>

#include <gtest/gtest.h>

namespace rocksdb::crc32c {
uint32_t Extend(uint32_t before, const char* bytes, size_t count);
}

namespace storage {

TEST(Crc32c, GivesWhatRfc3720Has) {
    EXPECT_EQ(crc32c(0, "123456789"), 0xe3069283U);
    EXPECT_EQ(crc32c(0, std::string(32, '\0')), 0x8a9136aaU);
    EXPECT_EQ(crc32c(0, std::string(32, '\xff')), 0x62a8ab43U);
    std::string ascending(32, '\0');
    std::iota(ascending.begin(), ascending.end(), '\0');
    EXPECT_EQ(crc32c(0, ascending), 0x46dd794eU);
    EXPECT_EQ(crc32c(0, ""), 0U);
}

TEST(Crc32c, GoesOnFromAnyPlace) {
    std::string bytes(100, '\0');
    std::iota(bytes.begin(), bytes.end(), '\1');
    const uint32_t whole = crc32c(0, bytes);
    for (size_t at = 0; at <= bytes.size(); ++at)
        EXPECT_EQ(crc32c(crc32c(0, bytes.substr(0, at)), bytes.substr(at)), whole) << at;
}

/// Octet by octet, as the tables have it: so they agree with the instruction.
TEST(Crc32c, HasTablesThatAgree) {
    const std::string text = "the log of a queue";
    uint32_t crc = ~0U;
    for (const char octet : text)
        crc = crc32c_tables[0][(crc ^ static_cast<uint8_t>(octet)) & 0xff] ^ crc >> 8;
    EXPECT_EQ(crc32c(0, text), ~crc);
}

TEST(Crc32c, IsWhatRocksdbFinds) {
    EXPECT_EQ(dlsym(RTLD_DEFAULT, "_ZN7rocksdb6crc32c6ExtendEjPKcm"),
              reinterpret_cast<void*>(&rocksdb::crc32c::Extend));
}

}  // namespace storage
