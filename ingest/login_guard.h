// LoginGuard: who has guessed too often. Counts failures per peer and per account, known or not,
// and shuts the door for longer and longer. Nothing but time opens it again: a right password of
// one tenant must not buy an attacker more guesses at another's.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "engine/reactor/reactor.h"

namespace ingest {

class LoginGuard {
  public:
    static constexpr unsigned peer_failures_free = 5;
    static constexpr unsigned account_failures_free = 20;  // from all peers together
    static constexpr std::chrono::minutes lock_first{1};   // doubles with each failure
    static constexpr std::chrono::hours lock_max{1};
    static constexpr std::chrono::hours forget_after{24};  // since the last failure
    static constexpr size_t entries_max = 65'536;          // of each kind

    using Instant = engine::Instant;

    /// How long a peer, or an account, is shut out; nullopt: it is not.
    std::optional<std::chrono::seconds> peer_locked(const std::string& peer, Instant now) const;
    std::optional<std::chrono::seconds> account_locked(const std::string& user, Instant now) const;
    /// Neither is so for those who have no entry and find no room for one: then nobody may try.
    bool has_room(const std::string& peer, const std::string& user, Instant now);
    void failed(const std::string& peer, const std::string& user, Instant now);

    size_t entries() const { return peers_.size() + accounts_.size(); }

  private:
    struct Entry {
        unsigned failures = 0;
        Instant last{};
        Instant locked_until{};
    };
    using Entries = std::unordered_map<std::string, Entry>;

    static std::optional<std::chrono::seconds> locked(const Entries& entries,
                                                      const std::string& name, Instant now);
    static bool has_room(Entries& entries, const std::string& name, Instant now);
    static void count(Entries& entries, const std::string& name, unsigned failures_free,
                      Instant now);

    Entries peers_, accounts_;
};

}  // namespace ingest
