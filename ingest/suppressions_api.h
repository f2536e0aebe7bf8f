// /v1/suppressions: the addresses that a tenant's mail is not sent to.
#pragma once

#include "ingest/http_connection.h"
#include "ingest/http_context.h"

namespace ingest {

/// One entry as JSON, or any number of them as NDJSON, stored while they come.
engine::Task<> post_suppressions(HttpConnection& connection, const HttpRequest& request,
                                 HttpContext& context);
/// NDJSON in the order of the addresses: `?tenant=&after=&limit=`, or `?address=` alone.
engine::Task<> get_suppressions(HttpConnection& connection, const HttpRequest& request,
                                HttpContext& context);
engine::Task<> delete_suppression_entry(HttpConnection& connection, const HttpRequest& request,
                                        HttpContext& context);

}  // namespace ingest
