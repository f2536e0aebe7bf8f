// Bytes of records: varints, length-prefixed strings, fixed-size big-endian integers. The reader
// never reads past the end and never trusts a length: the first thing that does not hold makes it
// fail for good.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "storage/types.h"

namespace storage {

class Writer {
  public:
    void expect(size_t bytes) { bytes_.reserve(bytes); }
    void clear() { bytes_.clear(); }
    std::string_view bytes() const { return bytes_; }
    std::string take() { return std::move(bytes_); }

    void byte(uint8_t value) { bytes_.push_back(static_cast<char>(value)); }
    void varint(uint64_t value);
    void fixed16(uint16_t value);
    void fixed32(uint32_t value);
    void fixed64(uint64_t value);
    void time(WallTime value);  // zigzag varint of milliseconds
    void string(std::string_view value);
    void raw(std::string_view value) { bytes_.append(value); }

  private:
    std::string bytes_;
};

/// After a failure every read gives a zero or an empty string and finished() is false; so a record
/// is read straight through and judged once, at its end.
class Reader {
  public:
    explicit Reader(std::string_view bytes) : rest_(bytes) {}

    uint8_t byte();
    bool flag();                   // fails on anything but 0 and 1
    uint8_t below(uint8_t limit);  // fails on a byte that is not below the limit: enums
    uint64_t varint();             // fails beyond 64 bits
    uint32_t varint32();           // fails beyond 32 bits
    uint16_t varint16();           // fails beyond 16 bits
    uint16_t fixed16();
    uint32_t fixed32();
    uint64_t fixed64();
    WallTime time();
    std::string_view string();  // valid as long as the bytes given to the reader
    void fail() {
        failed_ = true;
        rest_ = {};
    }

    size_t remaining() const { return rest_.size(); }
    bool failed() const { return failed_; }
    bool finished() const {
        return !failed_ && rest_.empty();
    }  // all of it was read and all of it held

  private:
    uint64_t big_endian(size_t octets);

    std::string_view rest_;
    bool failed_ = false;
};

}  // namespace storage
