// Deliveries that are held because it is not known whether the receiver has them: GET /v1/in-doubt
// lists them, POST /v1/in-doubt/retry and /delivered say what becomes of them.
#pragma once

#include "ingest/http_connection.h"
#include "ingest/http_context.h"

namespace ingest {

/// `?limit=`. "held" in the order of their ids, and "more" when there are further ones.
engine::Task<> get_in_doubt(HttpConnection& connection, const HttpRequest& request,
                            HttpContext& context);
/// `?delivery=<id>`, as often as one likes, or `?all=true` (10,000 at a time). The answer counts
/// what was settled, what is held no more, and what was just then being worked on.
engine::Task<> post_in_doubt(HttpConnection& connection, const HttpRequest& request,
                             HttpContext& context);

}  // namespace ingest
