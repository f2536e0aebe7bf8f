// TempoMemory: what was learned of the paths of one shard's sites, kept over restarts.
#pragma once

#include <map>
#include <string>

#include "engine/delivery/path.h"
#include "engine/reactor/shards.h"
#include "engine/reactor/task.h"

namespace storage {
class Store;
}

namespace engine {

class SiteBudget;
class Worker;

struct TempoMemoryParts {
    Worker& worker;  // the shard's storage worker
    storage::Store& store;
    ShardId shard;
};

class TempoMemory {
  public:
    static constexpr size_t paths_max = 20'000;  // more are learned anew after a restart

    explicit TempoMemory(TempoMemoryParts parts) : parts_(parts) {}

    /// Reads what was kept. A path asked for before begins without knowledge.
    Task<> load();
    PathNotes of(const std::string& source, const std::string& site) const;
    /// Takes note of what the paths of a site know now.
    void note(const std::string& site, const SiteBudget& budget);
    /// Writes what has changed since. What cannot be written is tried again with the next.
    Task<> keep();

  private:
    struct Entry {
        PathNotes now, kept;
    };
    TempoMemoryParts parts_;
    std::map<std::string, Entry> entries_;  // by "source site"
};

}  // namespace engine
