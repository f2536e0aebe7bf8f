// The server's side of TLS in front of a protocol that knows nothing of it: HTTP.
#pragma once

#include <memory>

#include "engine/net/stream.h"
#include "engine/reactor/reactor.h"
#include "engine/reactor/worker.h"

namespace engine {
class TlsContext;
}

namespace ingest {

/// The stream to speak over, which owns `below`. nullptr: the handshake failed, or took longer than
/// `deadline`; the connection is closed.
engine::Task<std::unique_ptr<engine::Stream>> secure_stream(
    std::unique_ptr<engine::Stream> below, std::shared_ptr<const engine::TlsContext> context,
    engine::Worker* worker, engine::Instant deadline);

}  // namespace ingest
