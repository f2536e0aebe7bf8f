// What TLS mail demands of a connection, and what a connection has. Values that every part of a
// delivery understands; the handshake itself is in tls_stream.h.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace engine {

/// How well a connection is protected, and its peer proven. A connection carries mail that demands
/// at most what it has; that is why dane stands above verified: who has it needs no other proof
/// (RFC 8461 2: DANE goes before MTA-STS).
enum class TlsLevel : uint8_t {
    plain,
    encrypted,  // by whoever answered there
    verified,   // its certificate leads to a trusted authority and names the host
    dane        // its certificate is the one that signed DNS names (RFC 7672)
};
std::string_view to_string(TlsLevel level);

/// The record of RFC 6698 as the DNS has it.
struct TlsaRecord {
    uint8_t usage = 0, selector = 0, matching = 0;
    std::string data;  // octets
    auto operator<=>(const TlsaRecord&) const = default;
};

/// What must be true of a connection to a host before mail goes over it. Mail of equal demands
/// shares connections.
struct TlsDemand {
    /// plain: TLS if the host offers it, verified or not, and mail goes without it otherwise.
    TlsLevel least = TlsLevel::plain;
    enum class Use : uint8_t { when_offered, never };
    Use use = Use::when_offered;     // never only where `least` is plain
    std::vector<std::string> hosts;  // MX names that mail may go to, as MTA-STS has them ("mx.x",
                                     // "*.x"); empty: all
    std::vector<std::string> names;  // beside the host's own that its certificate may bear
    std::vector<TlsaRecord> tlsa;    // with `least` dane: the certificate must match one of them
    bool tlsa_unusable = false;      // the host has TLSA records, none of which can be used
    bool require_tls = false;        // REQUIRETLS (RFC 8689): the host must offer it, too
    bool waives_dns = false;         // "TLS-Required: No" (RFC 8689): what DANE demands is left out
    std::string policy;  // who demands it, for people: "MTA-STS of x.test", "tls of [delivery]"

    auto operator<=>(const TlsDemand&) const = default;
};

/// Whether an MTA-STS pattern covers a host: the name itself, or "*." and exactly one label more
/// (RFC 8461 4.1). Both in lower case.
bool covers_host(std::string_view pattern, std::string_view host);
/// Whether the demand lets mail go to that host at all.
bool may_go_to(const TlsDemand& demand, std::string_view host);

/// Why a connection has no better level. The names are those of TLS reports (RFC 8460 4.3).
enum class TlsFailure : uint8_t {
    none,
    not_offered,    // starttls-not-supported: not in EHLO's reply, or refused
    expired,        // certificate-expired
    wrong_name,     // certificate-host-mismatch
    not_trusted,    // certificate-not-trusted
    tlsa_mismatch,  // validation-failure, of DANE
    validation,     // validation-failure: any other
    handshake       // validation-failure: no handshake came about
};
std::string_view to_string(TlsFailure failure);  // "certificate-expired"; "" for none

/// What a connection has.
struct TlsResult {
    TlsLevel level = TlsLevel::plain;
    std::string version, cipher;  // "TLSv1.3", "TLS_AES_256_GCM_SHA384"; empty: plain
    bool resumed = false;
    TlsFailure failure = TlsFailure::none;  // why it is not better than it is
    std::string why;                        // the same in words
};
/// For events: "TLSv1.3 TLS_AES_256_GCM_SHA384 verified"; empty when plain.
std::string to_string(const TlsResult& result);

}  // namespace engine
