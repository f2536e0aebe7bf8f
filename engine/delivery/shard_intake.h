// The Intake of one shard.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "engine/delivery/gate.h"
#include "engine/delivery/ids.h"
#include "engine/delivery/intake.h"
#include "engine/delivery/settings_in_force.h"
#include "engine/delivery/spool.h"
#include "engine/delivery/suppressed.h"

struct evp_md_ctx_st;
struct evp_md_st;

namespace engine {

/// The queue that a recipient belongs to (storage::QueueId says how it is made).
storage::QueueId queue_id(const storage::QueueInfo& info);

/// SHA-256 that is asked for once: fetching it anew costs five times what it computes here.
class QueueDigest {
  public:
    QueueDigest();
    storage::QueueId of(std::string_view key);

  private:
    struct Free {
        void operator()(evp_md_ctx_st* context) const;
        void operator()(evp_md_st* digest) const;
    };
    std::unique_ptr<evp_md_st, Free> sha256_;
    std::unique_ptr<evp_md_ctx_st, Free> context_;
};

class ShardIntake final : public Intake {
  public:
    static constexpr size_t known_queues_max =
        100'000;  // remembered, and as many older ones; more costs rows, not an error

    ShardIntake(Reactor& reactor, Spool& spool, const Gate& gate, ShardId shard,
                storage::JobId floor, const SettingsInForce& settings,
                ContentMemory& memory, Worker& worker, storage::Store& store,
                metrics::Registry& metrics);

    storage::JobId new_job_id() override { return ids_.next(reactor_.wall()); }
    WallTime now() const override { return reactor_.wall(); }
    const std::string& node_name() const override { return node_name_; }
    bool has_pool(std::string_view name) const override {
        return settings_.snapshot()->find_pool(name);  // asked on workers, too
    }
    std::optional<Refusal> refusal() const override { return gate_.refusal(); }
    Task<std::expected<void, Refusal>> accept(
        std::vector<JobPart> parts, std::vector<storage::IdempotencyRecord> idempotency) override;
    /// Rows of these queues are about to be dropped (storage::Store::drop_queues): from now on
    /// every delivery into one of them brings the row along. Resumes when what was given to the
    /// spool before has ended. Until let_go().
    Task<> rewrite_rows(std::vector<storage::QueueId> queues);
    void let_go(const std::vector<storage::QueueId>& queues);
    /// A whole job of our own, to be committed with what `batch` tells of; `origins` is for
    /// Spool::accept. Never refused: what must be told finds room.
    void add_own(JobPart part, storage::Batch& batch, std::vector<Spool::Origin>& origins);

  private:
    struct KnownQueue {
        std::shared_ptr<const storage::QueueInfo> info;
        uint64_t number = 0;       // entries get ascending ones, so that each is told from its like
        bool row_durable = false;  // written by a commit of this process that is synced
    };
    struct Draft;
    using Known = std::pair<const storage::QueueId, KnownQueue>;
    using KnownQueues = std::unordered_map<storage::QueueId, KnownQueue>;
    Known& known_queue(const storage::Job& job, const std::string& domain);
    /// For each part, which of its recipients are on a suppression list; nothing for a tenant that
    /// no list is about.
    using Suppressed = std::vector<std::vector<Listed>>;
    bool has_list(const JobPart& part) const;
    Task<storage::Result<Suppressed>> look_up(const std::vector<JobPart>* parts);
    void forget(storage::QueueId id);
    void add_part(JobPart& part, const std::vector<Listed>& suppressed, Draft& draft);

    Reactor& reactor_;
    Spool& spool_;
    const Gate& gate_;
    IdMaker ids_;
    const SettingsInForce& settings_;
    const std::string node_name_;  // takes a restart to change
    ContentMemory& memory_;
    Worker& worker_;  // of the spool
    storage::Store& store_;
    metrics::Counter& suppressed_;
    KnownQueues known_queues_, older_queues_;
    std::unordered_set<storage::QueueId> rewritten_;  // between rewrite_rows() and let_go()
    uint64_t last_number_ = 0;
    QueueDigest digest_;
    std::string key_;  // reused
};

}  // namespace engine
