#pragma once

namespace ingest {
inline constexpr const char* version = "0.1.0";
}
