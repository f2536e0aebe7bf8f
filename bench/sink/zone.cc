#include "bench/sink/zone.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>

namespace sink {
namespace {

constexpr size_t header_octets = 12;
constexpr size_t name_octets_max = 255;
constexpr uint16_t type_a = 1, type_soa = 6, type_mx = 15, type_any = 255;
constexpr unsigned rcode_servfail = 2, rcode_nxdomain = 3, rcode_not_implemented = 4;

uint16_t read16(std::string_view text, size_t at) {
    return uint16_t(uint16_t(static_cast<unsigned char>(text[at])) << 8 |
                    static_cast<unsigned char>(text[at + 1]));
}

void put16(std::string& out, uint16_t value) {
    out += char(value >> 8);
    out += char(value & 255);
}

void put32(std::string& out, uint32_t value) {
    put16(out, uint16_t(value >> 16));
    put16(out, uint16_t(value & 0xffff));
}

void put_name(std::string& out, std::string_view name) {
    while (!name.empty()) {
        auto label = name.substr(0, name.find('.'));
        out += char(label.size());
        out += label;
        name.remove_prefix(std::min(name.size(), label.size() + 1));
    }
    out += '\0';
}

struct Question {
    std::string name;  // lower case, dots between labels
    uint16_t type = 0;
    size_t end = 0;  // octets of the message up to here
};

std::optional<Question> parse_question(std::string_view query) {
    Question question;
    size_t at = header_octets;
    for (;;) {
        if (at >= query.size()) return std::nullopt;
        size_t length = static_cast<unsigned char>(query[at]);
        ++at;
        if (length == 0) break;
        // Above 63 it is a pointer: a question has nothing to point at.
        if (length > 63 || at + length > query.size() ||
            question.name.size() + length > name_octets_max)
            return std::nullopt;
        if (!question.name.empty()) question.name += '.';
        for (char c : query.substr(at, length))
            question.name += char(std::tolower(static_cast<unsigned char>(c)));
        at += length;
    }
    if (at + 4 > query.size()) return std::nullopt;
    question.type = read16(query, at);
    question.end = at + 4;
    return question;
}

/// The number in "d17" or "mx3"; nothing when the text is not that.
std::optional<uint32_t> numbered(std::string_view text, std::string_view prefix) {
    if (!text.starts_with(prefix)) return std::nullopt;
    text.remove_prefix(prefix.size());
    uint32_t number = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return number;
}

/// Records of the answer section being gathered.
struct Records {
    std::string octets;
    uint16_t count = 0;
    uint32_t ttl = 0;

    void add(uint16_t type, std::string_view data) {
        put16(octets, 0xc000 | header_octets);  // the name in the question
        put16(octets, type);
        put16(octets, 1);
        put32(octets, ttl);
        put16(octets, uint16_t(data.size()));
        octets += data;
        ++count;
    }
    void add_mx(uint16_t preference, std::string_view host) {
        std::string data;
        put16(data, preference);
        put_name(data, host);
        add(type_mx, data);
    }
    void add_a(uint32_t address) {
        std::string data;
        put32(data, address);
        add(type_a, data);
    }
};

bool wants(uint16_t asked, uint16_t type) {
    return asked == type || asked == type_any;
}

/// Fills in the records of a name of the zone; returns the response code.
unsigned find(const ZoneOptions& zone, std::string_view label, uint16_t type, Records& records) {
    auto address = [&](uint32_t site) { return zone.addresses[site % zone.addresses.size()]; };
    if (auto domain = numbered(label, "d"); domain && *domain < zone.domains) {
        uint32_t site = *domain % zone.sites;
        if (!wants(type, type_mx)) return 0;
        records.add_mx(10, fmt::format("mx{}.{}", site, zone.suffix));
        if (site % 3 == 0) records.add_mx(20, fmt::format("mx{}-b.{}", site, zone.suffix));
        return 0;
    }
    bool second = label.ends_with("-b");
    if (auto site = numbered(label.substr(0, label.size() - (second ? 2 : 0)), "mx");
        site && *site < zone.sites) {
        uint32_t shift = second ? uint32_t(zone.addresses.size() / 2) : 0;
        if (wants(type, type_a)) records.add_a(address(*site + shift));
        return 0;
    }
    if (label == "nomx") {
        if (wants(type, type_a)) records.add_a(address(0));
        return 0;
    }
    if (label == "null") {
        if (wants(type, type_mx)) records.add_mx(0, "");
        return 0;
    }
    return label == "servfail" ? rcode_servfail : rcode_nxdomain;
}

/// The authority of a negative answer: its last field is how long the absence may be cached (RFC
/// 2308).
std::string soa(const ZoneOptions& zone) {
    std::string data, out;
    put_name(data, "ns." + zone.suffix);
    put_name(data, "hostmaster." + zone.suffix);
    for (uint32_t field : {1u, 3600u, 600u, 86400u, zone.ttl_seconds}) put32(data, field);
    put_name(out, zone.suffix);
    put16(out, type_soa);
    put16(out, 1);
    put32(out, zone.ttl_seconds);
    put16(out, uint16_t(data.size()));
    return out + data;
}

}  // namespace

std::optional<std::string> Zone::answer(std::string_view query, Tally& tally) const {
    // A response is never answered: two servers could keep each other busy for ever.
    if (query.size() < header_octets || (query[2] & 0x80) != 0) return std::nullopt;
    unsigned opcode = (static_cast<unsigned char>(query[2]) >> 3) & 15;
    auto question = parse_question(query);
    if (!question || read16(query, 4) != 1) return std::nullopt;
    ++tally.dns_queries;

    Records records{.ttl = options_.ttl_seconds};
    unsigned rcode = rcode_nxdomain;
    if (opcode != 0) {
        rcode = rcode_not_implemented;
    } else if (question->name == options_.suffix) {
        rcode = 0;
    } else if (question->name.ends_with("." + options_.suffix)) {
        auto label = std::string_view(question->name);
        label.remove_suffix(options_.suffix.size() + 1);
        rcode = find(options_, label, question->type, records);
    }
    if (rcode == rcode_nxdomain) ++tally.dns_nxdomain;
    bool negative = records.count == 0 && (rcode == 0 || rcode == rcode_nxdomain);

    std::string out(query.substr(0, 2));
    out += char(0x84 | (query[2] & 0x79));  // a response, authoritative; opcode and RD as asked
    out += char(0x80 | rcode);              // recursion is "available": stub resolvers insist
    put16(out, 1);
    put16(out, records.count);
    put16(out, negative ? 1 : 0);
    put16(out, 0);
    out += query.substr(header_octets, question->end - header_octets);
    out += records.octets;
    if (negative) out += soa(options_);
    return out;
}

}  // namespace sink
