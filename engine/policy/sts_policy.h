// MTA-STS as text (RFC 8461 3): the record that says whether a domain has a policy, and the policy
// itself. Both come from strangers; reading them needs no network.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace engine {

struct StsPolicy {
    static constexpr size_t patterns_max = 100;
    static constexpr std::chrono::seconds age_max{31'557'600};  // a year (RFC 8461 3.2)

    enum class Mode : uint8_t { none, testing, enforce };
    Mode mode = Mode::none;
    std::vector<std::string> mx;  // "mx.x.test" or "*.x.test", lower case, A-labels
    std::chrono::seconds max_age{};

    bool operator==(const StsPolicy&) const = default;
};
std::string_view to_string(StsPolicy::Mode mode);

/// The id of a domain's policy from the TXT records of _mta-sts.<domain>; nothing when there is no
/// record of this kind, more than one, or a malformed one: then the domain has no policy (3.1).
std::optional<std::string> sts_record_id(std::span<const std::string> texts);

/// The error says what is wrong with the text and in which line.
std::expected<StsPolicy, std::string> parse_sts_policy(std::string_view text);

/// The policy as lines of its own format: what parse_sts_policy reads, and what a TLS report shows.
std::vector<std::string> lines_of(const StsPolicy& policy);

}  // namespace engine
