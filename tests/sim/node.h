// Node: the engine on simulated seams, wired as ingest/node_shard.cc wires it.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "engine/delivery/delivery_shard.h"
#include "engine/message/dkim_keyring.h"
#include "engine/reactor/exchange.h"
#include "metrics/metric.h"
#include "storage/in_doubt_journal.h"
#include "tests/sim/plan.h"
#include "tests/sim/reactor.h"
#include "tests/sim/worker.h"

namespace sim {

struct NodeParts {
    World& world;
    Network& network;
    Book& book;
    Plan& plan;
    storage::Store& store;
    /// Slots of the in-doubt journal, by shard: memory that outlives the process.
    std::vector<std::vector<storage::InDoubtJournal::Slot>>& in_doubt;
    std::function<bool()> after_work;  // of a storage worker, as Worker's `done`
};

class Node {
  public:
    using Queues = std::vector<std::pair<storage::QueueId, storage::QueueInfo>>;
    /// `queues`: those that the store has.
    Node(NodeParts parts, Queues queues);
    ~Node();

    /// Gives the job to the intake of that shard, part by part.
    void submit(size_t shard, const JobPlan& job);
    /// As an operator does it, at the shard that is asked.
    void give(size_t shard, Order order);
    void lift_suspensions();
    /// As ingest does it for who calls its API.
    void change_list(size_t shard, ListChange change);
    /// As ingest does it with a new configuration, shard after shard. False: one goes on.
    bool reload(Snapshot next);

    /// Ends in order; drained() says when.
    void drain(Nanoseconds patience);
    bool draining() const { return draining_; }
    bool drained() const;
    /// The process dies: nothing of it runs again. The node must be kept (see bury).
    void die();

    /// Those that would do something now.
    std::vector<Reactor*> runnable() const;
    Instant next_expiry() const;
    /// After drained(): nothing is left in it. `lost`: its store had failed, so outcomes that it
    /// could not record are in doubt.
    void check_at_rest(bool lost) const;

  private:
    struct Shard;
    NodeParts parts_;
    engine::Gate gate_;
    engine::DkimKeyring keyring_;  // empty: nothing is signed
    engine::ContentMemory content_memory_;
    engine::ShardDirectory directory_;
    engine::Exchange exchange_;
    std::vector<std::unique_ptr<Shard>> shards_;
    bool draining_ = false, reloading_ = false;
};

/// Keeps a crashed node for ever. Its coroutines can never run again, and nothing ends a coroutine
/// from outside; kept, they are no leak.
void bury(std::unique_ptr<Node> node);

}  // namespace sim
