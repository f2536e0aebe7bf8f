// GET /v1/live: what the node does, each second, as server-sent events.
#pragma once

#include "ingest/http_connection.h"
#include "ingest/http_context.h"

namespace ingest {

engine::Task<> get_live(HttpConnection& connection, const HttpRequest& request,
                        HttpContext& context);

}  // namespace ingest
