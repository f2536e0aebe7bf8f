// What is kept of a domain's MTA-STS policy, and when it is fetched again. No clock and no network:
// the rules of RFC 8461 3.3 and 5.1 as functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/policy/sts_policy.h"
#include "storage/types.h"

namespace engine {

struct StsKept {
    std::string id;  // of the TXT record that it was fetched for
    StsPolicy policy;
    storage::WallTime fetched{};

    bool live(storage::WallTime now) const { return now < fetched + policy.max_age; }
    bool operator==(const StsKept&) const = default;
};

/// A fetch that gave no policy. The same id is not asked for again before `until`.
struct StsMiss {
    std::string id;
    storage::WallTime until{};
    std::string result;  // the name of TLS reports (RFC 8460 4.3): "sts-policy-fetch-error"
};

/// Whether the policy is to be fetched, given what the TXT record says now. Without a record never:
/// a policy that is kept lives to its end, whatever becomes of the record.
bool wants_fetch(const std::optional<std::string>& id, const StsKept* kept, const StsMiss* miss,
                 storage::WallTime now);

/// As the store keeps it. Reading survives every octet.
std::string encode(const StsKept& kept);
std::optional<StsKept> decode_sts(std::string_view bytes);

}  // namespace engine
