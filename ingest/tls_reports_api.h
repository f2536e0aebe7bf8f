// GET /v1/tls-reports?day=2026-11-22[&domain=]: what TLS sessions with recipient domains came to.
#pragma once

#include "ingest/http_connection.h"
#include "ingest/http_context.h"

namespace ingest {

/// NDJSON, a line a domain: "domain", "sender", "day" and, as RFC 8460 has it, "report".
engine::Task<> get_tls_reports(HttpConnection& connection, const HttpRequest& request,
                               HttpContext& context);

}  // namespace ingest
