#include "tests/engine/dns/support/dns_packet.h"

namespace engine {

std::string DnsPacket::u16(uint16_t value) {
    return {static_cast<char>(value >> 8), static_cast<char>(value & 0xff)};
}

std::string DnsPacket::u32(uint32_t value) {
    return u16(static_cast<uint16_t>(value >> 16)) + u16(static_cast<uint16_t>(value & 0xffff));
}

std::string DnsPacket::name(std::string_view text) {
    std::string wire;
    while (!text.empty()) {
        const std::string_view label = text.substr(0, text.find('.'));
        wire += static_cast<char>(label.size());
        wire += label;
        text.remove_prefix(std::min(text.size(), label.size() + 1));
    }
    return wire + '\0';
}

DnsPacket::DnsPacket(std::string_view question, uint16_t type, uint16_t flags)
    : bytes_(u16(4711) + u16(flags) + u16(1) + u16(0) + u16(0) + u16(0) + name(question) +
             u16(type) + u16(1)) {}

DnsPacket& DnsPacket::record(std::string_view owner, uint16_t type, uint32_t ttl,
                             const std::string& data, Section section) {
    bytes_ += (owner == "@" ? u16(pointer_to_question) : name(owner)) + u16(type) + u16(1) +
              u32(ttl) + u16(static_cast<uint16_t>(data.size())) + data;
    ++bytes_[static_cast<size_t>(section) + 1];
    return *this;
}

DnsPacket& DnsPacket::mx(std::string_view owner, uint16_t preference, std::string_view host,
                         uint32_t ttl) {
    return record(owner, 15, ttl, u16(preference) + name(host));
}

DnsPacket& DnsPacket::cname(std::string_view owner, std::string_view target, uint32_t ttl) {
    return record(owner, 5, ttl, name(target));
}

DnsPacket& DnsPacket::soa(std::string_view owner, uint32_t minimum, uint32_t ttl) {
    return record(owner, 6, ttl,
                  name("ns.test") + name("hostmaster.test") + u32(1) + u32(2) + u32(3) + u32(4) +
                      u32(minimum),
                  Section::authority);
}

}  // namespace engine
