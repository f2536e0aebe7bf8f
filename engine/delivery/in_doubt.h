// What the store keeps of deliveries that are held in doubt, and what a start does with those that
// the process before left between the end of a content and the record of its outcome.
#pragma once

#include <optional>
#include <random>
#include <string>
#include <vector>

#include "engine/delivery/outcomes.h"
#include "metrics/metric.h"
#include "storage/in_doubt_files.h"
#include "storage/store.h"

namespace engine {

/// A delivery that waits for an operator's word, as a note of the store keeps it: so the held ones
/// are found without walking through all that waits.
struct Held {
    static constexpr std::string_view kind = "held";
    storage::DeliveryKey key;
    std::string domain;
    WallTime since{};
};
/// The notes that a decision makes or takes away.
void note_held(const Decision& decision, storage::Batch& batch);
std::optional<Held> read_held(const storage::Note& note);

/// What became of an operator's word: `busy` may be said again, `gone` is held no more.
enum class HeldSettled : uint8_t { done, gone, busy, failed };

/// Gives every delivery that was in doubt its event, and its row what [in_doubt] says, in one
/// commit or a few. Before any shard runs. `left` is in order. Returns how many there were.
storage::Result<size_t> settle_in_doubt(std::vector<storage::InDoubt> left, DoubtCause cause,
                                        storage::Store& store, const Settings& settings,
                                        metrics::Registry& registry, WallTime now,
                                        std::mt19937_64& random);

/// The same of what the journals of the process before say, and then lets them begin; after an
/// error they are as they were.
storage::Result<size_t> settle_left_in_doubt(storage::InDoubtFiles& files, storage::Store& store,
                                             const Settings& settings, metrics::Registry& registry,
                                             WallTime now);

}  // namespace engine
