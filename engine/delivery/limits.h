// The limits of a path (a source's way to a site), and the layers that they come from.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "engine/smtp/depth.h"

namespace engine {

/// What TLS an operator demands of connections to a site.
enum class TlsPolicy : uint8_t {
    none,           // never, whatever is offered; a route with smtps:// all the same
    opportunistic,  // when it is offered, verified or not
    required,       // encrypted, by whomever
    verified        // and the certificate holds, for the name of the host
};

enum class LimitKey : uint8_t {
    connections,
    connection_rate,
    rate,
    messages_per_connection,
    recipients_per_transaction,
    idle,
    tls,
    depth,
    window
};
inline constexpr size_t limit_key_count = static_cast<size_t>(LimitKey::window) + 1;
std::string_view to_string(LimitKey key);  // as in the configuration
std::optional<LimitKey> parse_limit_key(std::string_view name);

/// Where each value was set, "sluice.toml:12"; empty: it is a default.
using LimitOrigins = std::array<std::string, limit_key_count>;

/// Those of a path's limits: shared by all that have the same, since hardly any has its own (each
/// copy would be 288 octets, three times a site).
class SharedOrigins {
  public:
    SharedOrigins() = default;
    SharedOrigins(LimitOrigins origins)
        : origins_(std::make_shared<const LimitOrigins>(std::move(origins))) {}
    const std::string& of(LimitKey key) const;
    void set(LimitKey key, const std::string& origin);
    bool operator==(const SharedOrigins& other) const;

  private:
    std::shared_ptr<const LimitOrigins> origins_;  // null: all are defaults
};

/// Limits of a path, and how its site is spoken to; 0 means: none.
struct Limits {
    uint32_t connections = 20;
    double connection_rate_per_second = 0;  // connections begun
    double rate_per_second = 0;             // messages
    uint32_t messages_per_connection = 100;
    uint32_t recipients_per_transaction = 50;
    std::chrono::milliseconds idle = std::chrono::seconds(30);  // a connection without work closes
    TlsPolicy tls = TlsPolicy::opportunistic;
    Depth depth = Depth::next;  // of the dialogue, at most
    SessionPlan::Open next = SessionPlan::Open::after_probe;
    uint32_t window = 8;  // messages in flight on a connection at Depth::messages
    SharedOrigins origins{};
    bool operator==(const Limits&) const = default;

    const std::string& origin(LimitKey key) const { return origins.of(key); }
};

/// What one section sets of them. Layers lie on each other key by key: [delivery], then
/// [[provider]], then [[domain]].
struct LimitLayer {
    std::optional<uint32_t> connections{};
    std::optional<double> connection_rate_per_second{};
    std::optional<double> rate_per_second{};
    std::optional<uint32_t> messages_per_connection{};
    std::optional<uint32_t> recipients_per_transaction{};
    std::optional<std::chrono::milliseconds> idle{};
    std::optional<TlsPolicy> tls{};
    struct Dialogue {
        Depth depth = Depth::next;
        SessionPlan::Open next = SessionPlan::Open::after_probe;
    };
    std::optional<Dialogue> dialogue{};
    std::optional<uint32_t> window{};
    LimitOrigins origins{};

    void lie_on(Limits& below) const;
    /// Those of [[source]]: each counts where it is stricter than what is there. Of numbers and
    /// times only; who speaks TLS, and how, is no matter of the source.
    void tighten(Limits& limits) const;
};

}  // namespace engine
