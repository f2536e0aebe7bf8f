// The DNS of the demo domains, answered from arithmetic: no table, any number of domains.
//   d<N>.<suffix>        MX 10 mx<S>, and for every third site MX 20 mx<S>-b; S = N modulo sites
//   mx<S>, mx<S>-b       A: one of the sink's addresses (AAAA: none)
//   nomx.<suffix>        only an A record (implicit MX, RFC 5321 section 5.1)
//   null.<suffix>        takes no mail (null MX, RFC 7505)
//   servfail.<suffix>    answers SERVFAIL
// Everything else does not exist.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/sink/tally.h"

namespace sink {

struct ZoneOptions {
    std::string suffix = "demo.test";
    uint32_t domains = 200;
    uint32_t sites =
        50;  // domains share their MX hosts in groups, as the customers of one mail host do
    uint32_t ttl_seconds = 300;
    std::vector<uint32_t> addresses;  // IPv4 in host order; never empty
};

class Zone {
  public:
    explicit Zone(ZoneOptions options) : options_(std::move(options)) {}

    /// The answer to one DNS message, or nothing when it is not a query that can be answered at
    /// all. Answers have no EDNS and stay under 512 octets.
    std::optional<std::string> answer(std::string_view query, Tally& tally) const;

  private:
    ZoneOptions options_;
};

}  // namespace sink
