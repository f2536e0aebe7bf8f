#include "engine/net/tls_sessions.h"

#include <openssl/ssl.h>

#include <algorithm>

#include "engine/net/tls_connection.h"

namespace engine {

void FreeTlsSession::operator()(ssl_session_st* session) const {
    SSL_SESSION_free(session);
}

void TlsSessions::prepare(ssl_ctx_st* context) {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, [](SSL* ssl, SSL_SESSION* session) {
        return TlsConnection::of(ssl).learnt(session);
    });
}

void TlsSessions::keep(const std::string& key, TlsSession session, Instant now) {
    if (!SSL_SESSION_is_resumable(session.get())) return;
    std::vector<Place>& places = by_key_[key];
    const bool used_up = SSL_SESSION_get_protocol_version(session.get()) >= TLS1_3_VERSION;
    while (!places.empty() && (!used_up || places.size() >= per_host_max)) {
        kept_.erase(places.front());
        places.erase(places.begin());
    }
    places.push_back(kept_.insert(kept_.end(), {key, std::move(session), now}));
    if (kept_.size() > sessions_max) drop(kept_.begin());
}

TlsSession TlsSessions::take(const std::string& key, Instant now) {
    while (!kept_.empty() && now - kept_.front().since > age_max) drop(kept_.begin());
    const auto found = by_key_.find(key);
    if (found == by_key_.end()) return nullptr;
    const Place newest = found->second.back();
    SSL_SESSION* session = newest->session.get();
    SSL_SESSION_up_ref(session);
    TlsSession taken(session);
    if (SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION) drop(newest);
    return taken;
}

void TlsSessions::forget(const std::string& key) {
    const auto found = by_key_.find(key);
    if (found == by_key_.end()) return;
    for (const Place place : found->second) kept_.erase(place);
    by_key_.erase(found);
}

void TlsSessions::drop(Place place) {
    const auto found = by_key_.find(place->key);
    std::erase(found->second, place);
    if (found->second.empty()) by_key_.erase(found);
    kept_.erase(place);
}

}  // namespace engine
