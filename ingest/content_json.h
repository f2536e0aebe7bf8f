// The member "content" of a job -> Content.
#pragma once

#include <memory>

#include "engine/message/content.h"
#include "ingest/json_walk.h"

namespace ingest {

/// Null when something is wrong; then it is reported in `walk`, unless the document is broken.
std::shared_ptr<const engine::Content> read_content(JsonWalk& walk, simdjson::ondemand::value value,
                                                    const FieldPath& at,
                                                    const engine::Origin& origin);

/// Adds problems of engine/message to the others.
void report(JsonWalk& walk, const engine::Problems& problems);

}  // namespace ingest
