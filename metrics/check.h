// CHECK: for bugs of our own, never for what a peer, a disk or an operator can cause. Always on.
#pragma once

namespace metrics {
/// Prints "file:line: CHECK(condition) failed: message" to stderr and aborts.
[[noreturn]] void check_failed(const char* condition, const char* message, const char* file,
                               int line);
}  // namespace metrics

#define CHECK(condition, message)                                             \
    do {                                                                      \
        if (!(condition)) [[unlikely]]                                        \
            ::metrics::check_failed(#condition, message, __FILE__, __LINE__); \
    } while (false)
