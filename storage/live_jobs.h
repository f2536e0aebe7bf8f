// How many deliveries of a job are still open, so that its content goes with the last of them. A
// cache over the job family: every entry can be rebuilt from its row, but only while no commit of
// that job is in flight; so a commit pins the jobs it touches before it writes.
#pragma once

#include <array>
#include <functional>
#include <list>
#include <mutex>
#include <unordered_map>

#include "storage/ledger.h"

namespace storage {

/// A content that no delivery needs any more. `small`: it surely has no row among the large ones.
struct UselessContent {
    JobId job{};
    bool small = false;
    auto operator<=>(const UselessContent&) const = default;
};

class LiveJobs {
  public:
    static constexpr size_t shards = 16;
    static constexpr size_t entries_max = 4096;  // per shard, beside those pinned

    using Load = std::function<Result<std::optional<JobRow>>(JobId)>;
    LiveJobs(uint32_t boot, Load load) : boot_(boot), load_(std::move(load)) {}

    /// Before the write. After an error nothing is pinned.
    Result<void> pin(const Additions&);
    /// After a durable write: adds it up, unpins, and returns the contents that are of no more use,
    /// in the order of their jobs.
    std::vector<UselessContent> apply(const Additions&);
    /// After a failed write.
    void unpin(const Additions&);

  private:
    struct Entry {
        uint64_t open = 0;
        bool complete = false;  // no more recipients will come
        bool known = false;     // has a row, and so may have a content
        bool small = false;     // that is not large; false also when nobody remembers
        uint32_t pins = 0;
        std::list<JobId>::iterator age;
    };
    struct Shard {
        std::mutex mutex;
        std::unordered_map<JobId, Entry> entries;
        std::list<JobId> by_age;  // least recently used first
    };

    Shard& shard_of(JobId);
    Result<void> pin(JobId, const JobRow& addition);
    void unpin(JobId);
    std::optional<UselessContent> apply(JobId, const JobRow& addition);
    static void forget(Shard&, std::unordered_map<JobId, Entry>::iterator);
    static void trim(Shard&);

    uint32_t boot_;
    Load load_;
    std::array<Shard, shards> shards_;
};

}  // namespace storage
