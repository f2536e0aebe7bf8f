// The version, from the one place that says it: project() in CMakeLists.txt.
#pragma once

namespace ingest {
inline constexpr const char* version = SLUICE_VERSION;
}
