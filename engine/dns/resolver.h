// Routes: what the DNS says of a domain, by the rules of RFC 5321 section 5.1 and RFC 7505, cached for its TTL.
#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/dns/dns_client.h"
#include "engine/reactor/reactor.h"
#include "metrics/metric.h"

namespace engine {

struct MxHost {
    uint16_t preference = 0;
    std::string name;
    uint16_t port = 25;
    bool tls_first = false;  // TLS from the first octet on, without STARTTLS; of fixed routes only
};

/// Where mail for a domain goes. Immutable, shared, valid until `expires`.
struct Route {
    std::string site;           // stable name of the set of hosts (engine/dns/site.h): their names in sorted order
                                // joined by "+", whatever their preferences; domains with equal sets share the site
    std::vector<MxHost> hosts;  // by preference, equal ones shuffled; at least one
    bool implicit = false;      // no MX: the domain itself (RFC 5321 5.1)
    bool authenticated = false; // by DNSSEC: what DANE for the hosts needs (RFC 7672 2.2.1)
    Instant expires{};
};

/// Why there is no route. What follows from it is decided by engine/delivery/outcome_table.h.
struct NoRoute {
    enum class Why : uint8_t { failed, no_domain, null_mx, no_address, address_refused, own_host, bad_name };
    Why why = Why::failed;
    bool permanent = false;    // the DNS has answered, and asking again would not help before its TTL is over
    uint16_t code = 0;         // 556 for null MX, 550 for no such domain, 451 when temporary
    std::string enhanced;      // "5.1.10" null MX, "5.1.2" no such domain, "4.4.3" DNS trouble, "5.4.4"/"4.4.4" no usable address
    std::string reason;        // a sentence for people
    bool operator==(const NoRoute&) const = default;
};

/// An address to connect to, and the name it is known by.
struct Endpoint {
    SocketAddress address;
    std::string host;
};

/// What the DNS says of the certificates of a host (RFC 7672 2.2).
struct HostTlsa {
    enum class Found : uint8_t {
        nothing,  // no records, or none that DNSSEC vouches for
        records,
        failed  // it could not be had: the host must not be used, or an attacker need only suppress the answer
    };
    Found found = Found::nothing;
    std::vector<TlsaRecord> records;
    std::string base;    // the name that they are of, which the host's certificate may bear: the host's own or what its
                         // CNAMEs lead to
    std::string reason;  // when failed, for people
};

/// The TXT records of a name. The error is for people: they could not be had.
using Texts = std::expected<std::vector<std::string>, std::string>;

struct ResolverOptions {
    uint16_t port = 25;                        // where MX hosts listen
    std::vector<std::string> allow_addresses;  // CIDR exceptions to the refusal of special addresses
    std::string own_name;                      // EHLO name: a host of this name, and all that are not better, are left out
    std::chrono::seconds ttl_min{5}, ttl_max{86400}, negative_ttl_max{900}, failure_ttl{10};
    size_t entries_max = 200'000;              // of each cache; the oldest go first
    metrics::Registry* registry = nullptr;     // the shard's: counts look-ups and cache hits when given
    bool ipv6_first = false;                   // has_global_ipv6() in production; a constant where runs must repeat
};

/// What a resolver did since it began, for metrics.
struct ResolverCounts {
    uint64_t cache_hits = 0;
    uint64_t shared = 0;     // waited for a question that was out already
    uint64_t questions = 0;  // given to the DnsClient
    uint64_t failures = 0;   // of those: no answer that could be used
};

/// One per shard. The home shard of a domain asks for its route, the site's shard for addresses of hosts, so each name
/// is asked for once. Concurrent questions for one name share one answer (single flight).
class Resolver {
  public:
    /// Throws std::invalid_argument on a bad allow_addresses (start-up; AddressPolicy::with_exceptions checks first).
    Resolver(Reactor& reactor, DnsClient& client, ResolverOptions options);
    ~Resolver();

    /// `domain` in A-labels, lower case. Literals such as "[192.0.2.1]" route to that address.
    Task<std::expected<std::shared_ptr<const Route>, NoRoute>> route(std::string domain);
    /// Addresses of a host, AAAA and A, each shuffled, IPv6 in front when options.ipv6_first; so the next call begins
    /// with another one. Never empty. Special addresses are refused with 5.4.4 unless allowed.
    Task<std::expected<std::vector<Endpoint>, NoRoute>> addresses(std::string host, uint16_t port);

    /// The TLSA records of a host, whose addresses have just been asked for. An authenticated route is the other half
    /// of what DANE needs; the caller looks at that. Nothing without questions where no answer is ever authenticated.
    Task<HostTlsa> tlsa(std::string host, uint16_t port);
    Task<Texts> texts(std::string name);

    size_t cached() const;
    ResolverCounts counts() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace engine
