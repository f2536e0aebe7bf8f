// A record appended to a manifest is one to RocksDB's readers, wherever in a block it begins.
#include "storage/log_format.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace storage {
namespace {

using namespace log_format;

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

}  // namespace
}  // namespace storage
