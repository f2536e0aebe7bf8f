// The seam to the DNS: one question, one answer, no cache and no rules. c-ares in production, a zone table in tests.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/net/tls.h"
#include "engine/reactor/address.h"
#include "engine/reactor/task.h"

namespace engine {

struct DnsAnswer {
    enum class Status : uint8_t {
        ok,        // with at least one record of the type
        no_data,   // the name exists, the type does not
        no_name,   // NXDOMAIN
        failed     // SERVFAIL, REFUSED, timeout, malformed, no server: try later
    };
    struct Mx {
        uint16_t preference = 0;
        std::string host;  // lower case, no trailing dot; empty for the root (null MX)
        auto operator<=>(const Mx&) const = default;
    };
    Status status = Status::failed;
    std::vector<Mx> mx;
    std::vector<SocketAddress> addresses;  // port 0
    std::vector<TlsaRecord> tlsa;
    std::vector<std::string> texts;        // of TXT records, the strings of each joined
    std::string canonical;                 // whose the records are: the name asked for, or what its CNAMEs lead to;
                                           // of a question for a CNAME: its target
    bool authenticated = false;            // a validating resolver on this host vouches for all of it (AD), also when
                                           // it says that there is nothing
    uint32_t ttl_seconds = 0;              // smallest of the answer; of the SOA minimum when negative; 0 when unknown
    std::string error;                     // for people, when failed: "SERVFAIL from 127.0.0.1:53"
};

class DnsClient {
  public:
    enum class Type : uint8_t { mx, a, aaaa, tlsa, txt, cname };
    virtual ~DnsClient() = default;
    /// `name` in A-labels. Never fails otherwise than by DnsAnswer::status.
    virtual Task<DnsAnswer> query(std::string name, Type type) = 0;
    /// Ends what is in flight as failed and returns when nothing of it runs any more. Queries after it fail at once.
    virtual Task<> stop() = 0;
};

}  // namespace engine
