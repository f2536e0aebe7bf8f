// HostNotes: what HostMemory has learned, kept over restarts as notes of the store.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/delivery/host_memory.h"
#include "engine/delivery/kept_notes.h"

namespace engine {

class HostNotes {
  public:
    static constexpr auto save_every = std::chrono::minutes(1);

    struct Parts {
        Clock& clock;
        Worker& worker;  // that the shard's store is used on
        storage::Store& store;
        HostMemory& memory;
    };
    explicit HostNotes(Parts parts);

    /// Gives what earlier starts have learned to the memory. Every shard reads all of it: which
    /// hosts it will speak to hangs on the number of shards.
    Task<> recall();
    /// Stores what has changed since the last time. A crash loses at most what came after it.
    Task<> save();
    /// Drops what is past its time. For one shard of them.
    Task<> forget();

  private:
    Parts parts_;
    KeptNotes notes_;
};

/// A note's value. Times are kept as wall-clock time: `now` and `wall` are the same moment.
std::string encode(const HostTraits& traits, Instant now, storage::WallTime wall);
/// nullopt: damaged, of another version, or past its time.
std::optional<HostTraits> decode_host_traits(std::string_view bytes, Instant now,
                                             storage::WallTime wall);

}  // namespace engine
