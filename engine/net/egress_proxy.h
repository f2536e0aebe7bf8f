// Connections by way of a proxy: SOCKS5 (RFC 1928, with user and password by RFC 1929), or HAProxy,
// which is told by the PROXY protocol, version 2, from where and to where it shall connect.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "engine/net/dialer.h"
#include "engine/net/stream.h"
#include "engine/reactor/address.h"
#include "engine/reactor/reactor.h"
#include "engine/reactor/result.h"
#include "engine/reactor/task.h"

namespace engine {

struct EgressProxy {
    enum class Kind : uint8_t { socks5, haproxy };
    Kind kind = Kind::socks5;
    std::string address;  // "10.0.0.5:1080", for people and for comparing
    std::string user;     // of SOCKS5; empty: no log-in
    std::string password{};
    bool operator==(const EgressProxy&) const = default;
};

/// A stream whose other end is `to`, over the proxy. `from`: the address at the proxy that HAProxy
/// connects from; SOCKS5 has no word for it. Errors name the proxy: timeout, closed, and protocol
/// when it refuses the connection or does not speak SOCKS5. HAProxy never answers: a host that
/// cannot be reached behind it is a connection that closes. `dials` as for dial().
Task<Result<std::unique_ptr<Stream>>> dial_through(Reactor& reactor, EgressProxy proxy,
                                                   SocketAddress to,
                                                   std::optional<SocketAddress> from,
                                                   Instant deadline, Dials* dials = nullptr);

}  // namespace engine
