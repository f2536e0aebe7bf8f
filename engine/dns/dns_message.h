// Reads one DNS answer as it came from the wire. c-ares' own MX parser drops the TTL, and what
// comes from the network is hostile: every offset is checked, compression pointers may only point
// backwards, nothing is read beyond the end.
#pragma once

#include <string_view>

#include "engine/dns/dns_client.h"

namespace engine {

/// The answer to the question `name`, `type`. Records count when their owner is the name or what
/// CNAMEs of the answer section lead to from it; additional records never count. An answer that
/// does not hold to the format, answers another question or is cut short has the status failed and
/// says in `error` what is wrong with it. `authenticated` is the AD bit as it came: the caller knows
/// whether the server may be believed.
DnsAnswer parse_dns_answer(std::string_view packet, std::string_view name, DnsClient::Type type);

}  // namespace engine
