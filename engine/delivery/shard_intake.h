// The Intake of one shard.
#pragma once

#include <string>
#include <unordered_map>

#include "engine/delivery/gate.h"
#include "engine/delivery/ids.h"
#include "engine/delivery/intake.h"
#include "engine/delivery/spool.h"

namespace engine {

/// The queue that a recipient belongs to (storage::QueueId says how it is made).
storage::QueueId queue_id(const storage::QueueInfo& info);

class ShardIntake final : public Intake {
  public:
    static constexpr size_t known_queues_max =
        100'000;  // remembered; more costs a row each time, not an error

    ShardIntake(Reactor& reactor, Spool& spool, const Gate& gate, ShardId shard,
                storage::JobId floor, std::shared_ptr<const Settings> settings,
                ContentMemory& memory);

    storage::JobId new_job_id() override { return ids_.next(reactor_.wall()); }
    WallTime now() const override { return reactor_.wall(); }
    const std::string& node_name() const override { return settings_->node_name; }
    bool has_pool(std::string_view name) const override { return settings_->find_pool(name); }
    std::optional<Refusal> refusal() const override { return gate_.refusal(); }
    Task<std::expected<void, Refusal>> accept(
        std::vector<JobPart> parts, std::vector<storage::IdempotencyRecord> idempotency) override;
    /// A whole job of our own, to be committed with what `batch` tells of; `origins` is for
    /// Spool::accept. Never refused: what must be told finds room.
    void add_own(JobPart part, storage::Batch& batch, std::vector<Spool::Origin>& origins);

  private:
    struct KnownQueue {
        storage::QueueId id;
        std::shared_ptr<const storage::QueueInfo> info;
        bool row_durable = false;  // written by a commit of this process that is synced
    };
    struct Draft;
    KnownQueue& known_queue(const storage::Job& job, const std::string& domain);
    void add_part(JobPart& part, Draft& draft);

    Reactor& reactor_;
    Spool& spool_;
    const Gate& gate_;
    IdMaker ids_;
    std::shared_ptr<const Settings> settings_;
    ContentMemory& memory_;
    std::unordered_map<std::string, KnownQueue> known_queues_;
    std::string key_;  // reused
};

}  // namespace engine
