#include "ingest/login_guard.h"

#include <algorithm>

namespace ingest {

std::optional<std::chrono::seconds> LoginGuard::locked(const Entries& entries,
                                                       const std::string& name, Instant now) {
    const auto entry = entries.find(name);
    if (entry == entries.end() || entry->second.locked_until <= now) return std::nullopt;
    return std::chrono::ceil<std::chrono::seconds>(entry->second.locked_until - now);
}

/// Full of entries: those that shut nobody out any more go first.
bool LoginGuard::has_room(Entries& entries, const std::string& name, Instant now) {
    if (entries.size() < entries_max || entries.contains(name)) return true;
    std::erase_if(entries, [now](const auto& entry) { return entry.second.locked_until <= now; });
    return entries.size() < entries_max;
}

void LoginGuard::count(Entries& entries, const std::string& name, unsigned failures_free,
                       Instant now) {
    if (!has_room(entries, name, now)) return;
    Entry& entry = entries[name];
    if (now - entry.last > forget_after) entry.failures = 0;
    entry.last = now;
    ++entry.failures;
    if (entry.failures < failures_free) return;
    constexpr unsigned doublings_max = 6;  // 64 minutes
    const unsigned doublings = std::min(entry.failures - failures_free, doublings_max);
    entry.locked_until =
        now + std::min<std::chrono::minutes>(lock_first * (1u << doublings), lock_max);
}

std::optional<std::chrono::seconds> LoginGuard::peer_locked(const std::string& peer,
                                                            Instant now) const {
    return locked(peers_, peer, now);
}

std::optional<std::chrono::seconds> LoginGuard::account_locked(const std::string& user,
                                                               Instant now) const {
    return locked(accounts_, user, now);
}

bool LoginGuard::has_room(const std::string& peer, const std::string& user, Instant now) {
    return has_room(peers_, peer, now) && has_room(accounts_, user, now);
}

void LoginGuard::failed(const std::string& peer, const std::string& user, Instant now) {
    count(peers_, peer, peer_failures_free, now);
    count(accounts_, user, account_failures_free, now);
}

}  // namespace ingest
