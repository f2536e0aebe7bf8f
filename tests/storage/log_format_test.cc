// A record appended to a manifest is one to RocksDB's readers, wherever in a block it begins.
#include "storage/log_format.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "storage/log_check.h"
#include "tests/storage/support/records.h"

namespace storage {
namespace {

using namespace log_format;
using storage::tests::TemporaryDirectory;

/// The records of a file; empty where one does not hold.
std::vector<std::string> records_of(std::string_view file) {
    std::vector<std::string> records;
    std::optional<std::string> record;  // of which the last fragment is still to come
    for (size_t at = 0; at < file.size();) {
        const size_t left = block_bytes - at % block_bytes;
        if (left < header_bytes) {
            at += left;
            continue;
        }
        const std::string_view fragment = file.substr(at, left);
        const size_t length = little_endian(fragment.substr(4, 2));
        const auto kind = static_cast<uint8_t>(fragment[6]);
        if (header_bytes + length > fragment.size() || !is_kind(kind) ||
            masked_crc(fragment.substr(6, 1 + length)) != little_endian(fragment.substr(0, 4)))
            return {};
        const bool begins = kind == whole || kind == first;
        if (begins == record.has_value()) return {};
        if (begins) record.emplace();
        *record += fragment.substr(header_bytes, length);
        if (kind == whole || kind == last) {
            records.push_back(*record);
            record.reset();
        }
        at += header_bytes + length;
    }
    return records;
}

TEST(LogFormat, AppendsARecordWhereverInABlock) {
    for (const size_t room : {0U, 1U, 6U, 7U, 8U, 9U, 20U, 21U, 1000U}) {
        SCOPED_TRACE(room);
        const std::string before(block_bytes - room - header_bytes, 'a');
        const std::string after(3 * block_bytes, 'b');
        std::string file;
        for (const auto& record : {before, std::string("one more"), after})
            file += appended_record(file.size(), record);
        EXPECT_TRUE(records_of(file) == (std::vector<std::string>{before, "one more", after}));
    }
}

/// A log whose one record has its last octet, which is of one bit, in a sector of its own.
std::filesystem::path log_with(const TemporaryDirectory& place, size_t wrong) {
    std::string file = appended_record(0, std::string(512 - header_bytes, 'a') + '\x08');
    file[wrong] = static_cast<char>(file[wrong] ^ 0x08);
    const auto path = place.path() / "000001.log";
    std::ofstream(path, std::ios::binary) << file;
    return path;
}

TEST(LogDamageTest, TellsASectorThatAPowerCutMayHaveKeptFromTheDisk) {
    for (const size_t wrong : {size_t{512}, size_t{300}}) {
        SCOPED_TRACE(wrong);
        const TemporaryDirectory place;
        const auto path = log_with(place, wrong);
        auto& files = *rocksdb::FileSystem::Default();
        const auto found = damage_of_logs(files, place.path()).value();
        ASSERT_EQ(found.size(), 1U);
        EXPECT_EQ(found[0].turned->octet, wrong);
        EXPECT_EQ(found[0].sector_is_zeros, wrong == 512);
        ASSERT_TRUE(turn_back(found[0]));
        EXPECT_TRUE(damage_of_logs(files, place.path()).value().empty());
    }
}

}  // namespace
}  // namespace storage
