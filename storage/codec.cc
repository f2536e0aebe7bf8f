#include "storage/codec.h"

#include <array>
#include <bit>
#include <cstring>
#include <limits>

namespace storage {

namespace {

/// In one step: rows have a dozen of these, and each append asks for room.
template <class Number>
void append_big_endian(std::string& bytes, Number value) {
    if constexpr (std::endian::native == std::endian::little) value = std::byteswap(value);
    std::array<char, sizeof value> octets{};
    std::memcpy(octets.data(), &value, sizeof value);
    bytes.append(octets.data(), octets.size());
}

}  // namespace

void Writer::varint(uint64_t value) {
    std::array<char, 10> octets{};
    size_t size = 0;
    while (value >= 0x80) {
        octets.at(size++) = static_cast<char>(value | 0x80);
        value >>= 7;
    }
    octets.at(size++) = static_cast<char>(value);
    bytes_.append(octets.data(), size);
}

void Writer::fixed16(uint16_t value) {
    append_big_endian(bytes_, value);
}
void Writer::fixed32(uint32_t value) {
    append_big_endian(bytes_, value);
}
void Writer::fixed64(uint64_t value) {
    append_big_endian(bytes_, value);
}

void Writer::time(WallTime value) {
    const int64_t ms = value.time_since_epoch().count();
    varint(static_cast<uint64_t>(ms) << 1 ^ static_cast<uint64_t>(ms >> 63));
}

void Writer::string(std::string_view value) {
    varint(value.size());
    bytes_.append(value);
}

uint8_t Reader::byte() {
    return static_cast<uint8_t>(big_endian(1));
}

bool Reader::flag() {
    return below(2) == 1;
}

uint8_t Reader::below(uint8_t limit) {
    const uint8_t value = byte();
    if (value < limit) return value;
    fail();
    return 0;
}

uint64_t Reader::varint() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        const uint8_t octet = byte();
        if (failed_) return 0;
        if (shift == 63 && octet > 1) break;  // the tenth octet has room for one bit
        value |= static_cast<uint64_t>(octet & 0x7f) << shift;
        if (octet < 0x80) return value;
    }
    fail();
    return 0;
}

uint32_t Reader::varint32() {
    const uint64_t value = varint();
    if (value <= std::numeric_limits<uint32_t>::max()) return static_cast<uint32_t>(value);
    fail();
    return 0;
}

uint16_t Reader::varint16() {
    const uint64_t value = varint();
    if (value <= std::numeric_limits<uint16_t>::max()) return static_cast<uint16_t>(value);
    fail();
    return 0;
}

uint16_t Reader::fixed16() {
    return static_cast<uint16_t>(big_endian(2));
}
uint32_t Reader::fixed32() {
    return static_cast<uint32_t>(big_endian(4));
}
uint64_t Reader::fixed64() {
    return big_endian(8);
}

WallTime Reader::time() {
    const uint64_t zigzag = varint();
    const auto ms = static_cast<int64_t>(zigzag >> 1 ^ (~(zigzag & 1) + 1));
    return WallTime(std::chrono::milliseconds(ms));
}

std::string_view Reader::string() {
    const uint64_t size = varint();
    if (size > rest_.size()) fail();
    if (failed_) return {};
    const std::string_view value = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return value;
}

uint64_t Reader::big_endian(size_t octets) {
    if (octets > rest_.size()) fail();
    if (failed_) return 0;
    uint64_t value = 0;
    for (const char octet : rest_.substr(0, octets))
        value = value << 8 | static_cast<uint8_t>(octet);
    rest_.remove_prefix(octets);
    return value;
}

}  // namespace storage
