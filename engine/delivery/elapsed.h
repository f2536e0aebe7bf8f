// Spans of time as metrics and events have them.
#pragma once

#include <chrono>
#include <cstdint>

#include "engine/reactor/reactor.h"

namespace engine {

inline double seconds(std::chrono::nanoseconds duration) {
    return std::chrono::duration<double>(duration).count();
}

inline uint64_t milliseconds_between(Instant start, Instant end) {
    return static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(end - start).count());
}

}  // namespace engine
