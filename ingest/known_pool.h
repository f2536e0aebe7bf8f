// Which pools a job may name.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace ingest {

/// Any thread may ask.
using KnownPool = std::function<bool(std::string_view name)>;

inline bool is_default_pool(std::string_view name) {
    return name == "default";
}

inline constexpr std::string_view no_such_pool = "there is no such pool";

}  // namespace ingest
