#include "engine/delivery/limits.h"

#include <algorithm>
#include <type_traits>

namespace engine {

namespace {

constexpr std::array<std::string_view, limit_key_count> names{"connections",
                                                              "connection_rate",
                                                              "rate",
                                                              "messages_per_connection",
                                                              "recipients_per_transaction",
                                                              "idle",
                                                              "tls",
                                                              "depth",
                                                              "window"};

}  // namespace

std::string_view to_string(LimitKey key) {
    return names[static_cast<size_t>(key)];
}

std::optional<LimitKey> parse_limit_key(std::string_view name) {
    const auto found = std::ranges::find(names, name);
    if (found == names.end()) return std::nullopt;
    return static_cast<LimitKey>(found - names.begin());
}

const std::string& SharedOrigins::of(LimitKey key) const {
    static const std::string by_default;
    return origins_ ? (*origins_)[static_cast<size_t>(key)] : by_default;
}

void SharedOrigins::set(LimitKey key, const std::string& origin) {
    if (of(key) == origin) return;
    LimitOrigins changed = origins_ ? *origins_ : LimitOrigins{};
    changed[static_cast<size_t>(key)] = origin;
    origins_ = std::make_shared<const LimitOrigins>(std::move(changed));
}

bool SharedOrigins::operator==(const SharedOrigins& other) const {
    if (origins_ == other.origins_) return true;
    static const LimitOrigins by_default;
    return (origins_ ? *origins_ : by_default) == (other.origins_ ? *other.origins_ : by_default);
}

void LimitLayer::lie_on(Limits& below) const {
    const auto take = [&](LimitKey key, const auto& mine, auto& its) {
        if (!mine) return;
        its = *mine;
        below.origins.set(key, origins[static_cast<size_t>(key)]);
    };
    take(LimitKey::connections, connections, below.connections);
    take(LimitKey::connection_rate, connection_rate_per_second, below.connection_rate_per_second);
    take(LimitKey::rate, rate_per_second, below.rate_per_second);
    take(LimitKey::messages_per_connection, messages_per_connection, below.messages_per_connection);
    take(LimitKey::recipients_per_transaction, recipients_per_transaction,
         below.recipients_per_transaction);
    take(LimitKey::idle, idle, below.idle);
    take(LimitKey::tls, tls, below.tls);
    take(LimitKey::window, window, below.window);
    if (!dialogue) return;
    below.depth = dialogue->depth;
    below.next = dialogue->next;
    below.origins.set(LimitKey::depth, origins[static_cast<size_t>(LimitKey::depth)]);
}

void LimitLayer::tighten(Limits& limits) const {
    const auto take = [&](LimitKey key, const auto& mine, auto& its) {
        using Value = std::remove_cvref_t<decltype(its)>;
        if (!mine || *mine == Value{}) return;  // no limit
        if (its != Value{} && its <= *mine) return;
        its = *mine;
        limits.origins.set(key, origins[static_cast<size_t>(key)]);
    };
    take(LimitKey::connections, connections, limits.connections);
    take(LimitKey::connection_rate, connection_rate_per_second, limits.connection_rate_per_second);
    take(LimitKey::rate, rate_per_second, limits.rate_per_second);
    take(LimitKey::messages_per_connection, messages_per_connection,
         limits.messages_per_connection);
    take(LimitKey::recipients_per_transaction, recipients_per_transaction,
         limits.recipients_per_transaction);
    take(LimitKey::idle, idle, limits.idle);
}

}  // namespace engine
