// Node: the engine on simulated seams, wired as ingest/node_shard.cc wires it.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "engine/delivery/delivery_shard.h"
#include "engine/message/dkim_keyring.h"
#include "engine/reactor/exchange.h"
#include "metrics/metric.h"
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
    std::function<bool()> after_work;  // of a storage worker, as Worker's `done`
};

class Node {
  public:
    explicit Node(NodeParts parts);
    ~Node();

    /// Gives the job to the intake of that shard, part by part.
    void submit(size_t shard, const JobPlan& job);
    /// Ends in order; drained() says when.
    void drain(Nanoseconds patience);
    bool draining() const { return draining_; }
    bool drained() const;
    /// The process dies: nothing of it runs again. The node must be kept (see bury).
    void die();

    /// Those that would do something now.
    std::vector<Reactor*> runnable() const;
    Instant next_expiry() const;
    /// After drained(): nothing is left in it.
    void check_at_rest() const;

  private:
    struct Shard;
    NodeParts parts_;
    engine::Gate gate_;
    engine::DkimKeyring keyring_;  // empty: nothing is signed
    engine::ContentMemory content_memory_;
    engine::ShardDirectory directory_;
    engine::Exchange exchange_;
    std::vector<std::unique_ptr<Shard>> shards_;
    bool draining_ = false;
};

/// Keeps a crashed node for ever. Its coroutines can never run again, and nothing ends a coroutine
/// from outside; kept, they are no leak.
void bury(std::unique_ptr<Node> node);

}  // namespace sim
