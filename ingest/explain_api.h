// GET /v1/explain?domain=: where a domain's mail goes, under which limits, and what holds it now.
#pragma once

#include "ingest/http_connection.h"
#include "ingest/http_context.h"

namespace ingest {

engine::Task<> get_explanation(HttpConnection& connection, const HttpRequest& request,
                               HttpContext& context);

}  // namespace ingest
