// LEB128 numbers and length-prefixed texts, for the records of this folder. Reading never goes past
// the end: a short or overlong number makes the reader not ok, and everything it gives from then on
// is 0 or empty.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace engine {

inline void put_varint(std::string& out, uint64_t number) {
    for (; number >= 0x80; number >>= 7) out += static_cast<char>(number | 0x80);
    out += static_cast<char>(number);
}
inline void put_text(std::string& out, std::string_view text) {
    put_varint(out, text.size());
    out += text;
}

class VarintReader {
  public:
    explicit VarintReader(std::string_view bytes) : rest_(bytes) {}

    bool ok() const { return ok_; }
    bool done() const { return rest_.empty(); }
    uint8_t octet() {
        if (rest_.empty()) return fail();
        auto value = static_cast<uint8_t>(rest_[0]);
        rest_.remove_prefix(1);
        return value;
    }
    /// A number over `max` is an error.
    uint64_t number(uint64_t max) {
        uint64_t value = 0;
        for (unsigned shift = 0; shift < 63; shift += 7) {
            uint8_t part = octet();
            value |= uint64_t{part & 0x7Fu} << shift;
            if (part < 0x80) return value <= max ? value : fail();
        }
        return fail();
    }
    std::string_view text(uint64_t max) {
        uint64_t size = number(max);
        if (size > rest_.size()) fail();
        if (!ok_) return {};
        std::string_view value = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return value;
    }

  private:
    uint8_t fail() {
        ok_ = false;
        rest_ = {};
        return 0;
    }
    std::string_view rest_;
    bool ok_ = true;
};

}  // namespace engine
