// /v1/suspensions and /v1/cancellations: holding mail back, sending it another way, ending it.
#pragma once

#include "ingest/http_connection.h"
#include "ingest/http_context.h"

namespace ingest {

// `?dry_run=true` says how many deliveries an order would be about and gives none; `?count=true`
// counts them beside the order.
engine::Task<> post_suspension(HttpConnection& connection, const HttpRequest& request,
                               HttpContext& context);
engine::Task<> get_suspensions(HttpConnection& connection, const HttpRequest& request,
                               HttpContext& context);
engine::Task<> delete_suspension(HttpConnection& connection, const HttpRequest& request,
                                 HttpContext& context);
engine::Task<> post_cancellation(HttpConnection& connection, const HttpRequest& request,
                                 HttpContext& context);
engine::Task<> get_cancellations(HttpConnection& connection, const HttpRequest& request,
                                 HttpContext& context);
engine::Task<> post_job_cancel(HttpConnection& connection, const HttpRequest& request,
                               HttpContext& context);

}  // namespace ingest
