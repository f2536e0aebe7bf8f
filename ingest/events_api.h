// GET /v1/events: the event log as lines of JSON, resumable by sequence number.
#pragma once

#include "ingest/http_connection.h"
#include "ingest/http_context.h"

namespace ingest {

struct EventLimits {
    static constexpr uint64_t events_max = 10'000;  // of one answer
    static constexpr uint64_t events_default = 1'000;
    static constexpr uint64_t scanned_max =
        100'000;  // events that one request looks at; its cursor says how far it came
    static constexpr size_t page = 1'000;  // read at once from the store
    static constexpr size_t answer_bytes_max = 8 << 20;
    static constexpr std::chrono::seconds wait_max{60};
};

engine::Task<> get_events(HttpConnection& connection, const HttpRequest& request,
                          HttpContext& context);

}  // namespace ingest
