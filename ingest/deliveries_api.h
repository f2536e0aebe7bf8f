// GET /v1/deliveries/<id> and /v1/deliveries?to=ADDRESS: the story of a delivery, and which
// deliveries an address has had.
#pragma once

#include "ingest/http_connection.h"
#include "ingest/http_context.h"

namespace ingest {

struct DeliveryLimits {
    static constexpr size_t story_events_max = 1'000;
    static constexpr uint64_t deliveries_default = 20, deliveries_max = 200;  // of one answer
    // The log has no index by address: one request looks at so many events, and says where the next
    // one goes on.
    static constexpr size_t scanned_max = 200'000;
    static constexpr size_t page = 2'000;
};

engine::Task<> get_deliveries(HttpConnection& connection, const HttpRequest& request,
                              HttpContext& context);
engine::Task<> get_delivery(HttpConnection& connection, const HttpRequest& request,
                            HttpContext& context);

}  // namespace ingest
