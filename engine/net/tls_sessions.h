// TlsSessions: sessions that hosts gave us, so that the next connection to them needs half the CPU
// and no certificate. One per shard.
#pragma once

#include <chrono>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/reactor/timer_wheel.h"

struct ssl_ctx_st;
struct ssl_session_st;

namespace engine {

struct FreeTlsSession {
    void operator()(ssl_session_st* session) const;
};
using TlsSession = std::unique_ptr<ssl_session_st, FreeTlsSession>;

class TlsSessions {
  public:
    static constexpr size_t sessions_max = 1024;  // the oldest go first
    static constexpr size_t per_host_max = 8;     // TLS 1.3 uses each one up
    /// A result of verification is never older than this.
    static constexpr auto age_max = std::chrono::hours(1);

    /// Makes connections of a client's context hand their sessions to their TlsStream.
    static void prepare(ssl_ctx_st* context);

    /// `key` names the host and what its certificate was checked against: a session is only as good
    /// as that check.
    void keep(const std::string& key, TlsSession session, Instant now);
    /// The newest that is still good; nullptr: none. One of TLS 1.3 is given once only, so that
    /// nobody on the way can tie two connections together (RFC 8446 C.4).
    TlsSession take(const std::string& key, Instant now);
    /// What was learnt from a host that failed with a session of ours.
    void forget(const std::string& key);

    size_t size() const { return kept_.size(); }

  private:
    struct Kept {
        std::string key;
        TlsSession session;
        Instant since;
    };
    using Place = std::list<Kept>::iterator;
    void drop(Place place);

    std::list<Kept> kept_;  // oldest first
    std::unordered_map<std::string, std::vector<Place>> by_key_;
};

}  // namespace engine
