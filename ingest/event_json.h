// An event as the API shows it: one line of JSON, fields absent when empty.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "storage/types.h"

namespace ingest {

/// Appends one object without a line end.
void append_event(std::string& out, const storage::Event& event);

std::string_view to_string(storage::Event::Type type);
std::optional<storage::Event::Type> parse_event_type(std::string_view name);
std::string_view to_string(storage::Class klass);

}  // namespace ingest
