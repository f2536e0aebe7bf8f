// LiveDesk: takes a reading each second while somebody looks, and none when nobody does. One per
// shard, for the streams of its connections.
#pragma once

#include <vector>

#include "engine/reactor/reactor.h"
#include "engine/reactor/scope.h"
#include "engine/reactor/shards.h"
#include "engine/reactor/signal.h"
#include "engine/reactor/worker.h"
#include "ingest/live_history.h"
#include "ingest/live_snapshot.h"

namespace ingest {

class LiveDesk {
  public:
    static constexpr size_t viewers_max = 32;  // of one shard
    static constexpr std::chrono::seconds every{1};

    LiveDesk(engine::Reactor& reactor, engine::Worker& worker, storage::Store& store)
        : reactor_(reactor), worker_(worker), store_(store), fresh_(reactor), stopped_(reactor) {}

    /// The history, on the shard of `there`.
    struct Past {
        engine::Post& here;
        engine::Post& there;
        const LiveHistory& history;
    };
    /// Whose counters are read: those of all shards. Before the first viewer.
    void watch(std::vector<const metrics::Registry*> registries, Past past) {
        registries_ = std::move(registries);
        past_.emplace(past);
    }
    engine::Task<std::string> history() const;  // as JSON

    /// A place to look from; false when all are taken.
    class Seat {
      public:
        explicit Seat(LiveDesk& desk) : desk_(desk.sit_down() ? &desk : nullptr) {}
        Seat(const Seat&) = delete;
        Seat& operator=(const Seat&) = delete;
        ~Seat() {
            if (desk_) --desk_->viewers_;
        }
        explicit operator bool() const { return desk_ != nullptr; }

      private:
        LiveDesk* desk_;
    };

    /// Returns when there is a reading behind number `seen` that has one before it, or at
    /// `deadline`. From a seat.
    engine::Task<> next(uint64_t seen, engine::Instant deadline);
    const LiveReadings& readings() const { return readings_; }
    uint64_t number() const { return readings_.size() > 1 ? readings_.back()->number : 0; }

    engine::Task<> stop();

  private:
    bool sit_down();
    engine::Task<> look();

    engine::Reactor& reactor_;
    engine::Worker& worker_;
    storage::Store& store_;
    std::vector<const metrics::Registry*> registries_;
    std::optional<Past> past_;
    LiveReadings readings_;
    uint64_t last_number_ = 0;
    size_t viewers_ = 0;
    bool looking_ = false, stopping_ = false;
    engine::Signal fresh_, stopped_;
    engine::Scope scope_;
};

}  // namespace ingest
