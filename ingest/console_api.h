// The console: one page and its two files, out of the program.
#pragma once

#include "ingest/http_connection.h"
#include "ingest/http_context.h"

namespace ingest {

engine::Task<> get_console(HttpConnection& connection, const HttpRequest& request,
                           HttpContext& context);

}  // namespace ingest
