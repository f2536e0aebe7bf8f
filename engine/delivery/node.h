// Node: what the whole daemon can say of itself, summed over its shards, and what it can be told.
#pragma once

#include <cstdint>

#include "engine/delivery/explanation.h"
#include "engine/delivery/in_doubt.h"
#include "engine/delivery/overview.h"
#include "engine/delivery/trace.h"
#include "engine/reactor/task.h"

namespace engine {

struct DeliveryStatus {
    uint64_t scheduled = 0;  // wait for their due time or for room, in memory or on disk
    uint64_t ready = 0;      // at their site, waiting for a connection
    uint64_t sending = 0;    // in a transaction
    uint64_t queues = 0, sites = 0;
    uint64_t connections_busy = 0, connections_idle = 0;
    double oldest_seconds = 0;  // of the oldest delivery that is due
    bool draining = false;
};

class Node {
  public:
    virtual ~Node() = default;
    virtual Task<DeliveryStatus> status() = 0;
    /// An operator's word on a delivery that is held in doubt.
    virtual Task<HeldSettled> settle_held(Held held, HeldAnswer answer) = 0;
    virtual Task<QueueOverview> queues(QueueQuestion question) = 0;
    virtual Task<SiteOverview> sites(SiteQuestion question) = 0;
    virtual Task<ProviderOverview> providers() = 0;
    /// What was said on connections since the last time, of all shards in order of time. `viewer`:
    /// any number of one's own; who does not come again within TraceDesk::forgotten_after is gone.
    virtual Task<TraceRead> trace(uint64_t viewer, std::shared_ptr<const TraceFilter> filter) = 0;
    virtual Task<Explanation> explain(std::string domain) = 0;  // A-labels, lower case
};

}  // namespace engine
