// A job as long as somebody in memory needs it: shared between shards, immutable, counted against
// the memory budget.
#pragma once

#include <atomic>
#include <memory>

#include "engine/message/content.h"
#include "storage/types.h"

namespace engine {

/// Bytes of contents in memory, all shards together. The daemon owns it; it outlives every JobInfo.
struct ContentMemory {
    std::atomic<uint64_t> bytes{0};
};

class JobInfo {
  public:
    JobInfo(storage::Job job, std::shared_ptr<const Content> content, ContentMemory& memory)
        : job_(std::move(job)),
          content_(std::move(content)),
          memory_(memory),
          bytes_(sizeof(JobInfo) + (content_ ? content_->bytes() : 0)) {
        memory_.bytes.fetch_add(bytes_, std::memory_order_relaxed);
    }
    ~JobInfo() { memory_.bytes.fetch_sub(bytes_, std::memory_order_relaxed); }
    JobInfo(const JobInfo&) = delete;
    JobInfo& operator=(const JobInfo&) = delete;

    const storage::Job& job() const { return job_; }  // without content bytes
    /// Null when the store has lost it: the delivery cannot be sent.
    const std::shared_ptr<const Content>& content() const { return content_; }

  private:
    storage::Job job_;
    std::shared_ptr<const Content> content_;
    ContentMemory& memory_;
    uint64_t bytes_;
};

}  // namespace engine
