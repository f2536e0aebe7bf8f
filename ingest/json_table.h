// Any JSON object as text for people: what the daemon tells of itself may grow without the command
// line knowing.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace ingest {

/// Plain values first, as "name  value"; then a section for each object; objects of objects and
/// lists of objects become tables. Names that end in _bytes, _seconds and _ms get units.
std::string as_table(const nlohmann::ordered_json& object);

}  // namespace ingest
