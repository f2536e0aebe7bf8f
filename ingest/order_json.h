// Orders of operators and tenants as JSON: what a request asks to suspend, reroute or cancel, and
// what is told of it.
#pragma once

#include <chrono>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/delivery/orders.h"
#include "ingest/api_error.h"

namespace ingest {

struct OrderRequest {
    engine::Reach reach;
    std::string reason;
    std::optional<storage::WallTime> until;
    std::vector<std::string> route;
};

enum class OrderKind : uint8_t { suspension, cancellation, job_cancellation };

struct OrderLimits {
    static constexpr size_t body_bytes_max = 64 << 10;
    static constexpr size_t reason_octets_max = 500;
    static constexpr size_t hosts_max = 20;
    static constexpr std::chrono::hours lasts_max{24 * 366};
};

/// The body of a request; an empty one reads as {}. What names nothing must say "all": true: who
/// misspells a name must not stop everything.
std::expected<OrderRequest, BadRequest> read_order(OrderKind kind, std::string text,
                                                   storage::WallTime now);

/// The members of a reach, into an object that is open.
class JsonObject;
void append_reach(JsonObject& object, const engine::Reach& reach);
void append_suspension(JsonObject& object, const engine::Suspension& suspension);
void append_cancellation(JsonObject& object, const engine::Cancellation& cancellation);

}  // namespace ingest
