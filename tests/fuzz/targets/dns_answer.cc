// The DNS answer parser. The first octet chooses the question, the rest is the packet.
#include "engine/dns/dns_message.h"
#include "engine/dns/domain_name.h"
#include "metrics/check.h"
#include "tests/fuzz/targets/targets.h"

namespace fuzz {
namespace {

constexpr uint8_t types = 6;
constexpr size_t escaped_octets_max = 4 * 255;  // octets that no host name has become \\DDD

}  // namespace

void dns_answer(std::string_view input) {
    using engine::DnsAnswer, engine::DnsClient;
    if (input.empty()) return;
    auto type = DnsClient::Type(uint8_t(input[0]) % types);
    const std::string packet(input.substr(1));
    auto answer = engine::parse_dns_answer(packet, "x.test", type);
    CHECK(answer.status != DnsAnswer::Status::failed || !answer.error.empty(),
          "a failure without a reason");
    size_t records =
        answer.mx.size() + answer.addresses.size() + answer.tlsa.size() + answer.texts.size();
    if (type != DnsClient::Type::cname)
        CHECK((records > 0) == (answer.status == DnsAnswer::Status::ok),
              "a status and its records");
    for (const auto& mx : answer.mx) {
        CHECK(mx.host.size() <= escaped_octets_max, "a long host name");
        if (auto host = engine::parse_domain(mx.host))
            CHECK(*host == mx.host, "a host name in another form");
    }
}

}  // namespace fuzz
