// TempoMemory: what was learned of the paths of one shard's sites, kept over restarts.
#pragma once

#include <map>
#include <string>

#include "engine/delivery/kept_notes.h"
#include "engine/delivery/path.h"
#include "engine/reactor/task.h"

namespace engine {

class SiteBudget;

class TempoMemory {
  public:
    static constexpr size_t paths_max = 20'000;  // more are learned anew after a restart

    /// The shard's storage worker.
    TempoMemory(Worker& worker, storage::Store& store);

    /// Reads what was kept. A path asked for before begins without knowledge.
    Task<> load();
    bool loaded() const { return loaded_; }
    PathNotes of(const std::string& source, const std::string& site) const;
    /// Takes note of what the paths of a site know now.
    void note(const std::string& site, const SiteBudget& budget);
    /// Writes what has changed since. What cannot be written is tried again with the next.
    Task<> keep();

  private:
    struct Entry {
        PathNotes now, kept;
    };
    KeptNotes notes_;
    std::map<std::string, Entry> entries_;  // by "source site"
    bool loaded_ = false;
};

}  // namespace engine
