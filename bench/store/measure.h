// What all measurements of the store share: mail to store, and what it costs the process.
#pragma once

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "storage/store.h"

namespace bench {

inline constexpr storage::WallTime noon{std::chrono::milliseconds(1'795'000'000'000)};

double cpu_seconds();         // of the process, user and system
double thread_cpu_seconds();  // of this thread
uint64_t disk_bytes();        // what the process has had written to the disk, the log included

template <class T>
T must(storage::Result<T> result) {
    if constexpr (std::is_void_v<T>) {
        if (result) return;
    } else {
        if (result) return std::move(*result);
    }
    std::fprintf(stderr, "%s\n", result.error().what.c_str());
    std::exit(1);
}

/// Text that compresses about as mails do.
std::string words(size_t bytes, uint64_t seed);
storage::Delivery delivery_of(storage::JobId job, uint32_t index, storage::QueueId queue);
storage::Event event_of(storage::Event::Type type, const storage::Delivery&);

}  // namespace bench
