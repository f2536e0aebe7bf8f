// What waits, and what keeps it: queues by recipient domain and age, sites, providers.
#pragma once

#include "ingest/http_connection.h"
#include "ingest/http_context.h"

namespace ingest {

struct QueueLimits {
    static constexpr uint64_t rows_default = 50, rows_max = 1'000;  // of one answer
    static constexpr uint64_t counted_max = 1'000'000;  // rows on disk that one request counts
};

engine::Task<> get_queues(HttpConnection& connection, const HttpRequest& request,
                          HttpContext& context);
engine::Task<> get_sites(HttpConnection& connection, const HttpRequest& request,
                         HttpContext& context);
engine::Task<> get_site(HttpConnection& connection, const HttpRequest& request,
                        HttpContext& context);
engine::Task<> get_providers(HttpConnection& connection, const HttpRequest& request,
                             HttpContext& context);

/// A site as all these answers show it.
void append_site(std::string& out, const engine::SiteView& site);

}  // namespace ingest
