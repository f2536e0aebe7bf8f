// GET /v1/jobs and /v1/jobs/<id>: what became of a submission, how fast, and when it will be done.
#pragma once

#include "ingest/http_connection.h"
#include "ingest/http_context.h"

namespace ingest {

struct JobListLimits {
    static constexpr uint64_t jobs_default = 50, jobs_max = 1'000;  // of one answer
    static constexpr size_t scanned_max = 20'000;                   // rows that one request reads
    static constexpr size_t page = 500;                             // read at once from the store
};

engine::Task<> get_jobs(HttpConnection& connection, const HttpRequest& request,
                        HttpContext& context);
engine::Task<> get_job(HttpConnection& connection, const HttpRequest& request,
                       HttpContext& context);

}  // namespace ingest
