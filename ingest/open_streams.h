// OpenStreams: the ingest connections of one shard, so that a stop can end the idle ones. A stream
// takes itself off the list when it dies.
#pragma once

#include <list>
#include <memory>

#include "engine/net/stream.h"

namespace ingest {

class OpenStreams {
  public:
    /// Wraps a stream that is on the list for as long as it lives. The list must outlive it.
    std::unique_ptr<engine::Stream> track(std::unique_ptr<engine::Stream> stream);
    /// Closes all; what is pending on them ends with Errc::closed.
    void close_all();
    size_t size() const { return streams_.size(); }

  private:
    class Tracked;
    std::list<engine::Stream*> streams_;
};

}  // namespace ingest
