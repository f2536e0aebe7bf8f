// dial: one TCP or Unix connection, from a chosen source address.
#pragma once

#include <memory>

#include "engine/net/stream.h"

namespace engine {

/// Connects to `to`; from `from` unless it is null (its port 0: the kernel's choice). `from` must
/// stay valid until the task ends. Errors: timeout, refused, unreachable, reset, busy (no
/// descriptor or port left), system.
Task<Result<std::unique_ptr<Stream>>> dial(Reactor& reactor, SocketAddress to,
                                           const SocketAddress* from, Instant deadline);

}  // namespace engine
