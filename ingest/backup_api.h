// POST /v1/backup?directory=/path: a copy of the queue as it is, while the daemon goes on.
#pragma once

#include "ingest/http_connection.h"
#include "ingest/http_context.h"

namespace ingest {

/// Answers when the backup is whole, which takes minutes when the directory is on another disk.
engine::Task<> post_backup(HttpConnection& connection, const HttpRequest& request,
                           HttpContext& context);

}  // namespace ingest
