// POST /v1/reload: the configuration read anew.
#pragma once

#include "ingest/http_connection.h"
#include "ingest/http_context.h"

namespace ingest {

engine::Task<> post_reload(HttpConnection& connection, const HttpRequest& request,
                           HttpContext& context);

}  // namespace ingest
