#include "metrics/check.h"

#include <cstdio>
#include <cstdlib>

namespace metrics {

void check_failed(const char* condition, const char* message, const char* file, int line) {
    std::fprintf(stderr, "%s:%d: CHECK(%s) failed: %s\n", file, line, condition, message);
    std::abort();
}

}  // namespace metrics
