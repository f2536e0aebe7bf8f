// Tls: both sides' contexts for all simulated connections. The hosts share one certificate, made
// when the program starts, which the engine trusts.
//
// Keys are random, but whatever goes over the wire has the same length each time (Ed25519, X25519,
// no tickets): so a seed still gives one run.
#pragma once

#include <memory>

#include "engine/net/tls_context.h"

namespace sim {

struct Tls {
    std::shared_ptr<const engine::TlsContext> client, server;
};
const Tls& tls();

}  // namespace sim
