// GET /v1/config: every setting as it is in force, with where it came from. Secrets are not in it.
#pragma once

#include "ingest/http_connection.h"
#include "ingest/http_context.h"

namespace ingest {

engine::Task<> get_config(HttpConnection& connection, const HttpRequest& request,
                          HttpContext& context);

}  // namespace ingest
