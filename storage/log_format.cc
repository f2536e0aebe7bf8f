#include "storage/log_format.h"

#include "storage/crc32c.h"

namespace storage::log_format {

uint32_t masked_crc(std::string_view bytes) {
    const uint32_t crc = crc32c(0, bytes);
    return (crc >> 15 | crc << 17) + 0xa282ead8U;
}

uint32_t little_endian(std::string_view bytes) {
    uint32_t value = 0;
    for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[i]);
    return value;
}

std::string appended_record(uint64_t file_bytes, std::string_view record) {
    std::string appended;
    const auto little = [&](uint32_t value, size_t octets) {
        for (size_t i = 0; i < octets; ++i) appended.push_back(static_cast<char>(value >> 8 * i));
    };
    bool begun = false;
    do {
        const size_t left = block_bytes - (file_bytes + appended.size()) % block_bytes;
        if (left < header_bytes) {
            appended.append(left, '\0');
            continue;
        }
        const std::string_view piece = record.substr(0, left - header_bytes);
        const bool ends = piece.size() == record.size();
        std::string covered(1, static_cast<char>(begun  ? ends ? last : middle
                                                 : ends ? whole
                                                        : first));
        covered += piece;
        little(masked_crc(covered), 4);
        little(static_cast<uint32_t>(piece.size()), 2);
        appended += covered;
        record.remove_prefix(piece.size());
        if (ends) return appended;
        begun = true;
    } while (true);
}

}  // namespace storage::log_format
