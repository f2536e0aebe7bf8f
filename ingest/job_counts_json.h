// Counts of a job or a tenant as JSON: in the order in which they come about; they add up to
// accepted.
#pragma once

#include "ingest/json_out.h"
#include "storage/types.h"

namespace ingest {

inline void append_counts(JsonObject& object, const storage::JobCounts& counts) {
    object.number("accepted", counts.accepted)
        .number("open", counts.open())
        .number("delivered", counts.delivered);
    object.number("bounced", counts.bounced).number("expired", counts.expired);
    object.number("cancelled", counts.cancelled).number("suppressed", counts.suppressed);
    object.number("deferrals", counts.deferrals);
}

}  // namespace ingest
