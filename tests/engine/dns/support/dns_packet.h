// Builds DNS answers octet by octet, right ones and wrong ones.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace engine {

class DnsPacket {
  public:
    /// An answer to `name`, `type` without records; `flags` as on the wire (0x8180: answer,
    /// recursion).
    DnsPacket(std::string_view name, uint16_t type, uint16_t flags = 0x8180);

    enum class Section : size_t { answer = 6, authority = 8, additional = 10 };
    DnsPacket& record(std::string_view owner, uint16_t type, uint32_t ttl, const std::string& data,
                      Section section = Section::answer);
    DnsPacket& mx(std::string_view owner, uint16_t preference, std::string_view host, uint32_t ttl);
    DnsPacket& cname(std::string_view owner, std::string_view target, uint32_t ttl);
    DnsPacket& soa(std::string_view owner, uint32_t minimum, uint32_t ttl);
    const std::string& bytes() const { return bytes_; }

    static std::string u16(uint16_t value);
    static std::string u32(uint32_t value);
    static std::string name(std::string_view text);  // uncompressed; "" is the root
    static constexpr uint16_t pointer_to_question = 0xc00c;

  private:
    std::string bytes_;
};

}  // namespace engine
