#include "engine/dns/dns_message.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>

namespace engine {

namespace {

constexpr size_t header_octets = 12;
constexpr size_t name_octets_max = 255;  // on the wire (RFC 1035 2.3.4)
constexpr size_t pointers_max = 127;     // in one name: as many as it can have labels
constexpr size_t records_max = 1024;     // of one answer; what is beyond is not looked at
constexpr size_t cname_hops_max = 16;
constexpr uint32_t ttl_limit = 0x7fffffff;  // above it means 0 (RFC 2181 8)

constexpr uint16_t flag_answer = 0x8000, flag_truncated = 0x0200, flag_authenticated = 0x0020;
constexpr uint16_t class_in = 1, type_a = 1, type_cname = 5, type_soa = 6, type_mx = 15,
                   type_txt = 16, type_aaaa = 28, type_tlsa = 52;

uint16_t code_of(DnsClient::Type type) {
    switch (type) {
        case DnsClient::Type::mx:
            return type_mx;
        case DnsClient::Type::a:
            return type_a;
        case DnsClient::Type::aaaa:
            return type_aaaa;
        case DnsClient::Type::tlsa:
            return type_tlsa;
        case DnsClient::Type::txt:
            return type_txt;
        case DnsClient::Type::cname:
            return type_cname;
    }
    return 0;
}

/// A position in the packet that never leaves it. Every read says whether it had enough octets.
class Cursor {
  public:
    Cursor(std::string_view packet, size_t at) : packet_(packet), at_(at) {}

    std::optional<uint8_t> octet() {
        if (at_ >= packet_.size()) return std::nullopt;
        return static_cast<uint8_t>(packet_[at_++]);
    }
    std::optional<uint16_t> u16() {
        if (packet_.size() - at_ < 2) return std::nullopt;
        const auto high = static_cast<uint8_t>(packet_[at_]);
        const auto low = static_cast<uint8_t>(packet_[at_ + 1]);
        at_ += 2;
        return static_cast<uint16_t>(high << 8 | low);
    }
    std::optional<uint32_t> u32() {
        const auto high = u16();
        const auto low = u16();
        if (!high || !low) return std::nullopt;
        return static_cast<uint32_t>(*high) << 16 | *low;
    }
    bool skip(size_t octets) {
        if (packet_.size() - at_ < octets) return false;
        at_ += octets;
        return true;
    }
    /// A name in presentation form, lower case, without the trailing dot; empty for the root.
    /// Octets that no host name has are escaped, so that a dot inside a label can not pass for two
    /// labels.
    std::optional<std::string> name();

    size_t at() const { return at_; }

  private:
    std::string_view packet_;
    size_t at_;
};

void append_label(std::string& name, std::string_view label) {
    if (!name.empty()) name += '.';
    for (const char c : label) {
        const auto octet = static_cast<uint8_t>(c);
        if (octet <= ' ' || octet >= 127 || c == '.' || c == '\\') {
            name += fmt::format("\\{:03}", octet);
        } else {
            name += c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
        }
    }
}

std::optional<std::string> Cursor::name() {
    std::string name;
    size_t wire_octets = 1;
    // Each pointer must lead to before the place where the part that holds it began: every jump
    // goes strictly backwards, so a loop is impossible. The count of jumps bounds the time only.
    size_t part_start = at_;
    size_t pointers = 0;
    size_t read = at_;
    std::optional<size_t> resume;
    while (true) {
        if (read >= packet_.size()) return std::nullopt;
        const auto length = static_cast<uint8_t>(packet_[read]);
        if (length == 0) {
            at_ = resume.value_or(read + 1);
            return name;
        }
        if ((length & 0xc0) == 0xc0) {
            if (read + 1 >= packet_.size()) return std::nullopt;
            const size_t target = (length & 0x3fu) << 8 | static_cast<uint8_t>(packet_[read + 1]);
            if (target >= part_start || ++pointers > pointers_max) return std::nullopt;
            if (!resume) resume = read + 2;
            part_start = read = target;
            continue;
        }
        if ((length & 0xc0) != 0) return std::nullopt;  // the label types 01 and 10 are not in use
        if (packet_.size() - read - 1 < length) return std::nullopt;
        wire_octets += 1 + length;
        if (wire_octets > name_octets_max) return std::nullopt;
        append_label(name, packet_.substr(read + 1, length));
        read += 1 + length;
    }
}

struct Record {
    std::string owner;
    uint16_t type = 0, klass = 0;
    uint32_t ttl = 0;
    size_t data = 0, data_size = 0;  // where in the packet
};

std::optional<Record> read_record(Cursor& cursor) {
    auto owner = cursor.name();
    if (!owner) return std::nullopt;
    const auto type = cursor.u16();
    const auto klass = cursor.u16();
    const auto ttl = cursor.u32();
    const auto size = cursor.u16();
    if (!type || !klass || !ttl || !size) return std::nullopt;
    Record record{std::move(*owner),           *type,       *klass,
                  *ttl > ttl_limit ? 0 : *ttl, cursor.at(), *size};
    if (!cursor.skip(*size)) return std::nullopt;
    return record;
}

/// A name inside a record's data; it must end where the data ends.
std::optional<std::string> name_in(std::string_view packet, const Record& record, size_t offset) {
    if (offset >= record.data_size) return std::nullopt;
    Cursor cursor(packet, record.data + offset);
    auto name = cursor.name();
    if (!name || cursor.at() != record.data + record.data_size) return std::nullopt;
    return name;
}

SocketAddress address_of(std::string_view octets) {
    SocketAddress address;
    if (octets.size() == 4) {
        sockaddr_in v4{};
        v4.sin_family = AF_INET;
        std::memcpy(&v4.sin_addr, octets.data(), 4);
        std::memcpy(&address.storage, &v4, sizeof v4);
        address.size = sizeof v4;
    } else {
        sockaddr_in6 v6{};
        v6.sin6_family = AF_INET6;
        std::memcpy(&v6.sin6_addr, octets.data(), 16);
        std::memcpy(&address.storage, &v6, sizeof v6);
        address.size = sizeof v6;
    }
    return address;
}

/// The strings of a TXT record, joined as their readers want them (RFC 8461 3.1, RFC 8460 3).
std::optional<std::string> joined_strings(std::string_view data) {
    std::string text;
    while (!data.empty()) {
        const size_t length = static_cast<uint8_t>(data.front());
        if (data.size() - 1 < length) return std::nullopt;
        text += data.substr(1, length);
        data.remove_prefix(1 + length);
    }
    return text;
}

bool add_tlsa(DnsAnswer& answer, std::string_view data) {
    if (data.size() < 3) return false;
    const auto octet = [&](size_t at) { return static_cast<uint8_t>(data[at]); };
    answer.tlsa.push_back({octet(0), octet(1), octet(2), std::string(data.substr(3))});
    return true;
}

/// Adds what one record of the asked type says; false when its data is not of that type's form.
bool add_record(DnsAnswer& answer, std::string_view packet, const Record& record) {
    if (record.type == type_mx) {
        const auto preference = Cursor(packet, record.data).u16();
        auto host = name_in(packet, record, 2);
        if (!preference || !host) return false;
        answer.mx.push_back({*preference, std::move(*host)});
        return true;
    }
    const std::string_view data = packet.substr(record.data, record.data_size);
    if (record.type == type_tlsa) return add_tlsa(answer, data);
    if (record.type == type_txt) {
        auto text = joined_strings(data);
        if (text) answer.texts.push_back(std::move(*text));
        return text.has_value();
    }
    if (record.type == type_cname) {
        auto target = name_in(packet, record, 0);
        if (target) answer.canonical = std::move(*target);
        return target.has_value();
    }
    if (record.data_size != (record.type == type_a ? 4u : 16u)) return false;
    answer.addresses.push_back(address_of(data));
    return true;
}

/// How long a negative answer holds: the smaller of the SOA's own TTL and its last field (RFC 2308
/// 5).
uint32_t negative_ttl(std::string_view packet, Cursor cursor, size_t authorities) {
    for (size_t i = 0; i < authorities; ++i) {
        const auto record = read_record(cursor);
        if (!record) return 0;
        if (record->type != type_soa || record->klass != class_in || record->data_size < 22)
            continue;
        const auto minimum = Cursor(packet, record->data + record->data_size - 4).u32();
        return minimum ? std::min({record->ttl, *minimum, ttl_limit}) : 0;
    }
    return 0;
}

DnsAnswer broken(std::string_view what) {
    return {.status = DnsAnswer::Status::failed,
            .error = fmt::format("malformed answer: {}", what)};
}

std::string_view rcode_name(unsigned rcode) {
    switch (rcode) {
        case 1:
            return "FORMERR";
        case 2:
            return "SERVFAIL";
        case 4:
            return "NOTIMP";
        case 5:
            return "REFUSED";
        default:
            return "an error code that is not in use";
    }
}

/// Follows CNAMEs from `name`; the smallest TTL on the way goes into `ttl`.
std::optional<std::string> canonical_name(std::string_view packet,
                                          const std::vector<Record>& records, std::string name,
                                          uint32_t& ttl) {
    for (size_t hop = 0; hop < cname_hops_max; ++hop) {
        const auto cname = std::ranges::find_if(
            records, [&](const Record& r) { return r.type == type_cname && r.owner == name; });
        if (cname == records.end()) return name;
        auto target = name_in(packet, *cname, 0);
        if (!target) return std::nullopt;
        ttl = std::min(ttl, cname->ttl);
        name = std::move(*target);
    }
    return std::nullopt;
}

}  // namespace

DnsAnswer parse_dns_answer(std::string_view packet, std::string_view name, DnsClient::Type type) {
    if (packet.size() < header_octets) return broken("shorter than a header");
    Cursor cursor(packet, 2);
    const uint16_t flags = *cursor.u16();
    const uint16_t questions = *cursor.u16();
    const uint16_t answers = *cursor.u16();
    const uint16_t authorities = *cursor.u16();
    cursor.skip(2);
    const unsigned rcode = flags & 0xf;
    if (!(flags & flag_answer)) return broken("it is a question");
    if (questions != 1) return broken("not one question in it");
    const auto question = cursor.name();
    const auto question_type = cursor.u16();
    const auto question_class = cursor.u16();
    if (!question || !question_type || !question_class) return broken("its question is cut short");
    if (*question != name || *question_type != code_of(type) || *question_class != class_in) {
        return broken("it answers another question");
    }
    if (flags & flag_truncated) return broken("truncated, and TCP gave no more");
    if (rcode != 0 && rcode != 3) {
        return {.status = DnsAnswer::Status::failed,
                .error = fmt::format("the server answered {}", rcode_name(rcode))};
    }

    std::vector<Record> records;
    for (size_t i = 0; i < answers; ++i) {
        auto record = read_record(cursor);
        if (!record) return broken("a record of its answer section is cut short");
        if (record->klass == class_in && records.size() < records_max) {
            records.push_back(std::move(*record));
        }
    }
    uint32_t ttl = ttl_limit;
    const bool authenticated = (flags & flag_authenticated) != 0;
    const auto owner = type == DnsClient::Type::cname
                           ? std::string(name)
                           : canonical_name(packet, records, std::string(name), ttl);
    if (!owner) return broken("its CNAMEs lead nowhere");
    if (rcode == 3) {
        return {.status = DnsAnswer::Status::no_name,
                .canonical = *owner,
                .authenticated = authenticated,
                .ttl_seconds = std::min(ttl, negative_ttl(packet, cursor, authorities))};
    }
    DnsAnswer answer{.canonical = *owner, .authenticated = authenticated};
    size_t found = 0;
    for (const Record& record : records) {
        if (record.type != code_of(type) || record.owner != *owner) continue;
        if (!add_record(answer, packet, record))
            return broken("a record's data has the wrong form");
        ttl = std::min(ttl, record.ttl);
        ++found;
    }
    if (found == 0) {
        answer.status = DnsAnswer::Status::no_data;
        answer.ttl_seconds = std::min(ttl, negative_ttl(packet, cursor, authorities));
    } else {
        answer.status = DnsAnswer::Status::ok;
        answer.ttl_seconds = ttl;
    }
    return answer;
}

}  // namespace engine
