// What the node says of itself, and whether it is well.
#pragma once

#include "ingest/http_connection.h"
#include "ingest/http_context.h"

namespace ingest {

engine::Task<> get_status(HttpConnection& connection, const HttpRequest& request,
                          HttpContext& context);
/// 200 as long as the process answers.
engine::Task<> get_health(HttpConnection& connection, const HttpRequest& request,
                          HttpContext& context);
/// 200 while new mail is taken, else 503 with the reason.
engine::Task<> get_readiness(HttpConnection& connection, const HttpRequest& request,
                             HttpContext& context);

}  // namespace ingest
