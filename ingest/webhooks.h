// Webhooks: pushes the event log to receivers over HTTP. Each has a cursor in the store that moves
// when the receiver has answered with 2xx, so that every event comes at least once, in order, over
// any restart. A receiver that is down holds nobody up: its events wait in the log, where they are
// anyway, for as long as the log keeps them.
#pragma once

#include <memory>
#include <vector>

#include "engine/delivery/feed.h"
#include "engine/reactor/reactor.h"
#include "engine/reactor/scope.h"
#include "engine/reactor/signal.h"
#include "ingest/webhook.h"
#include "metrics/metric.h"
#include "storage/store.h"

namespace ingest {

class Webhooks {
  public:
    static constexpr std::chrono::seconds wait_first{1}, wait_most{300};  // after failures; doubles

    /// Of one shard, for all. Before the reactor's first turn.
    Webhooks(engine::Reactor& reactor, storage::Store& store, engine::Feed& feed,
             metrics::Registry& metrics, const std::vector<Webhook>& webhooks);
    ~Webhooks();

    void start();
    /// Ends what is under way, within a second or so, and keeps the cursors.
    engine::Task<> stop();

  private:
    struct Sink;
    engine::Task<> push(Sink* sink);
    engine::Task<> begin(Sink* sink);
    engine::Task<> send_next(Sink* sink);
    void failed(Sink& sink, long status, const std::string& what);
    void show(Sink& sink) const;
    engine::Task<> rest(engine::Instant until);

    engine::Reactor& reactor_;
    storage::Store& store_;
    engine::Feed& feed_;
    metrics::Registry& metrics_;
    std::vector<std::unique_ptr<Sink>> sinks_;
    bool stopping_ = false;
    engine::Signal stopped_;
    engine::Scope scope_;
};

}  // namespace ingest
