// GET /v1/trace: what is said on connections to hosts while somebody looks.
#pragma once

#include "ingest/http_connection.h"
#include "ingest/http_context.h"

namespace ingest {

engine::Task<> get_trace(HttpConnection& connection, const HttpRequest& request,
                         HttpContext& context);

}  // namespace ingest
