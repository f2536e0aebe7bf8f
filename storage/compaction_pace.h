// How fast the rows of deliveries are compacted: nothing waits for it as long as few files have
// gathered, and mail that waits does. So it then takes a part of a core, and all of one when files
// have gathered.
#pragma once

#include <rocksdb/listener.h>
#include <rocksdb/rate_limiter.h>

#include <memory>

namespace storage {

/// Files of level 0 that one compaction takes in; with so many it goes at full speed.
inline constexpr size_t hurried_from = 12;

/// To be RocksDB's rate limiter. It sleeps after a step of a slow compaction for three times what
/// the step has cost the thread, whatever the disk could take; all other work passes.
std::shared_ptr<rocksdb::RateLimiter> make_compaction_pace();

/// Tells the thread of each compaction whether it is a slow one.
std::shared_ptr<rocksdb::EventListener> make_compaction_watch();

}  // namespace storage
