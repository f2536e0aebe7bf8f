// Counts of TLS reports (RFC 8460): sessions of one day with one recipient domain under one policy.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/policy/observed_tls.h"
#include "engine/policy/sts_policies.h"

namespace engine {

/// A session under the policy that applied to it.
struct TlsFinding {
    enum class Type : uint8_t { tlsa, sts, none };
    Type type = Type::none;
    std::shared_ptr<const StsPolicy> policy;  // of type sts; null when it could not be had
    std::string_view result;                  // of RFC 8460 4.3; empty: success
};

/// Which policy a session falls under and whether it held to it: DANE of the host goes before
/// MTA-STS of the domain, testing mode is judged like enforce.
TlsFinding finding_of(const ObservedTls& session, const StsAnswer& sts, const std::string& mx);

struct TlsFailureCount {
    std::string result, mx, ip;
    uint64_t sessions = 0;
    bool operator==(const TlsFailureCount&) const = default;
};

struct TlsCounts {
    static constexpr size_t failures_max =
        50;  // kinds of failures; what is beyond is counted without host and address

    TlsFinding::Type type = TlsFinding::Type::none;
    std::vector<std::string> policy;  // its lines
    std::vector<std::string> mx;      // the patterns of it
    uint64_t successes = 0;
    std::vector<TlsFailureCount> failures;

    void add(const TlsFinding& finding, const std::string& host, const std::string& ip);
    void add(const TlsCounts& other);  // of the same policy
    uint64_t failed() const;
    bool same_policy(const TlsCounts& other) const {
        return type == other.type && policy == other.policy;
    }
    bool operator==(const TlsCounts&) const = default;

  private:
    void add_failures(std::string_view result, const std::string& host, const std::string& ip,
                      uint64_t sessions);
};
std::string_view to_string(TlsFinding::Type type);  // "tlsa", "sts", "no-policy-found"

/// As the store keeps it. Reading survives every octet.
std::string encode(const TlsCounts& counts);
std::optional<TlsCounts> decode_tls_counts(std::string_view bytes);

}  // namespace engine
