// The HTTP server of one shard: finds out who answers a path, and keeps a connection going.
#pragma once

#include <memory>

#include "engine/net/stream.h"
#include "ingest/http_context.h"

namespace ingest {

/// Serves one connection until it ends. Spawn it in a scope that ends before `context`; when
/// `context.draining` becomes true it comes to an end within about a second, requests in hand
/// included.
engine::Task<> serve_http(std::unique_ptr<engine::Stream> stream, HttpContext& context);

}  // namespace ingest
