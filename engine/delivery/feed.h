// Feed: lets readers of the event log sleep until there is more. One per shard; fed by the spools
// of all shards.
#pragma once

#include <cstdint>

#include "engine/reactor/reactor.h"
#include "engine/reactor/task.h"

namespace engine {

class Feed {
  public:
    virtual ~Feed() = default;
    virtual uint64_t last() const = 0;  // highest readable event
    /// Returns when last() > seq or at the deadline, whichever comes first.
    virtual Task<> wait_beyond(uint64_t seq, Instant deadline) = 0;
};

}  // namespace engine
