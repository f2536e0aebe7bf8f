// NodeShard: everything that one shard of the daemon owns, from its ring to its ingest connections,
// wired together.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/delivery/delivery_shard.h"
#include "engine/dns/cares_client.h"
#include "engine/message/dkim_keyring.h"
#include "engine/net/listener.h"
#include "engine/reactor/exchange.h"
#include "engine/reactor/shard_thread.h"
#include "engine/reactor/thread_worker.h"
#include "engine/reactor/uring_reactor.h"
#include "engine/reactor/worker_pool.h"
#include "ingest/config_in_force.h"
#include "ingest/descriptors.h"
#include "ingest/http_context.h"
#include "ingest/idempotency.h"
#include "ingest/live_desk.h"
#include "ingest/loop_metrics.h"
#include "ingest/open_streams.h"
#include "ingest/passed_sockets.h"
#include "ingest/peer_connections.h"
#include "ingest/reload.h"
#include "ingest/smtp_server.h"
#include "ingest/webhooks.h"

namespace ingest {

class NodeShard;

/// What all shards share. The daemon owns it; it outlives them.
struct NodeShared {
    struct Tls {
        std::shared_ptr<const engine::TlsContext> for_hosts;
        std::shared_ptr<const engine::TlsContext> of_us;  // what listeners show; null: none
    };
    NodeShared(std::shared_ptr<const Config> from, Tls contexts, storage::Store& with,
               storage::InDoubtFiles& journals, engine::ShardId shards);

    ConfigInForce config;
    Descriptors descriptors;      // set before the first shard is made
    const std::string node_name;  // which takes a restart to change
    Tls tls;                      // as it is at the start
    storage::Store& store;
    storage::InDoubtFiles& in_doubt;
    engine::Gate gate;
    engine::ContentMemory content_memory;
    engine::DkimKeyring keyring;
    engine::WorkerPool signers;
    engine::WorkerPool long_work;  // one thread: backups
    engine::Exchange exchange;
    IdempotencyKeys idempotency;
    const std::vector<ConsoleFile> console = console_files();
    LiveHistory history;               // of the first shard
    PeerConnections peers;             // of the shard that accepts: the first
    Logins* logins = nullptr;          // likewise
    engine::ShardDirectory directory;  // filled before the first shard starts
    std::vector<NodeShard*> shards;
    std::atomic<unsigned> drained{0};  // shards that have nothing left to do
};

/// What the page of metrics says of the configuration in force.
void observe_config(metrics::Registry& registry, const Config& config);

class NodeShard final : engine::Node, Reloader {
  public:
    using Queues = std::vector<std::pair<storage::QueueId, storage::QueueInfo>>;

    /// On the main thread, before any shard starts.
    NodeShard(NodeShared& shared, engine::ShardId id, std::unique_ptr<engine::UringReactor> reactor,
              std::unique_ptr<engine::CaresClient> dns);
    ~NodeShard() override;

    /// Binds what is to be listened on, or takes it from those that were passed. On the main
    /// thread, for one shard: it hands the connections round.
    engine::Result<void> listen(PassedSockets& passed);
    /// Starts the thread; it looks after `queues`, those of its domains that were on disk.
    void start(Queues queues);
    /// Any thread: ends in order, within the settings' bound. shared.drained counts up when done.
    void stop();
    /// Ends the thread. Only after every shard has drained.
    void join() { thread_.reset(); }
    /// True when nothing holds on to this shard's memory any more. After join().
    bool at_rest() const;

    const metrics::Registry& metrics() const { return metrics_; }
    uint64_t turns() const { return turns_.load(std::memory_order_relaxed); }  // any thread
    metrics::Registry& metrics() { return metrics_; }  // before start() only
    engine::DeliveryStatus published() const;          // any thread; as of the last second
    engine::DeliveryShard& delivery() { return delivery_; }

    // The first shard's; node_shard_reload.cc.
    /// Any thread: asks for a reload, and says how many have been asked for.
    uint64_t ask_reload();
    uint64_t reloads_done() const { return reloads_done_.load(std::memory_order_acquire); }
    engine::Task<ReloadReport> reload_here(ReloadHow how);

  private:
    struct Door {
        enum class Protocol : uint8_t { http, smtp };
        Protocol protocol{};
        SmtpPort port = SmtpPort::plain;
    };
    /// A connection that was accepted, on its way to the shard that will serve it.
    struct Arrival {
        int fd = -1;
        Door door;
        std::string peer;
        std::string counted_as;         // peer_network(); empty: it is not counted
        const char* refused = nullptr;  // why it gets no further
    };
    /// Looks in once a turn: at the stop flag, and at how long the turn took.
    class TurnWatch;

    engine::Task<ReloadReport> reload(ReloadHow how) override;
    engine::Task<> put_in_force(const Readied* readied);
    void tell(const ReloadReport& report);
    void use(const Readied& readied);
    engine::Task<> reload_as_asked();
    void offer_logins(const Config& config);
    engine::Task<engine::DeliveryStatus> status() override;
    engine::Task<engine::HeldSettled> settle_held(engine::Held held,
                                                  engine::HeldAnswer answer) override;
    engine::Task<engine::QueueOverview> queues(engine::QueueQuestion question) override;
    engine::Task<engine::SiteOverview> sites(engine::SiteQuestion question) override;
    engine::Task<engine::ProviderOverview> providers() override;
    engine::Task<engine::TraceRead> trace(
        uint64_t viewer, std::shared_ptr<const engine::TraceFilter> filter) override;
    engine::Task<engine::Explanation> explain(std::string domain) override;
    engine::Task<> accept_from(engine::Listener& listener, Door door);
    Arrival arrival(int fd, Door door);
    void take_connection(Arrival arrived);
    void give_back(const std::string& counted_as);
    engine::Task<> serve_connection(Arrival arrived);
    engine::Task<> serve_arrival(const Arrival* arrived);
    engine::Task<> publish();
    engine::Task<> write_back();
    engine::Task<> remember();
    engine::Task<> drain();
    engine::Task<> end_ingest();

    NodeShared& shared_;
    const engine::ShardId id_;
    metrics::Registry metrics_;
    LoopMetrics loop_metrics_;
    std::atomic<uint64_t> turns_{0};
    std::unique_ptr<engine::UringReactor> reactor_;
    engine::Post& post_;
    engine::ThreadWorker commits_;  // the storage worker: commits and refills, in order
    engine::ThreadWorker reads_;    // what the API reads, so that a long read delays no commit
    engine::PoolPort signers_;      // makes mails: conversion and signatures
    engine::PoolPort long_work_;    // what takes minutes
    std::unique_ptr<engine::CaresClient> dns_;
    engine::DeliveryShard delivery_;
    bool draining_ = false;
    bool reloading_ = false, reloads_as_asked_ = false;
    std::atomic<uint64_t> reloads_asked_{0}, reloads_done_{0};
    ApiKeys api_keys_;
    std::optional<engine::ThreadWorker> passwords_;  // of the shard that has the logins
    std::optional<Logins> logins_;
    std::optional<LoginDesk> login_desk_;
    KeyDesk key_desk_;
    LiveDesk live_;
    std::optional<Webhooks> webhooks_;  // of the first shard
    HttpContext http_;
    SmtpServerContext smtp_;
    std::vector<std::pair<std::unique_ptr<engine::Listener>, Door>> listeners_;
    engine::ShardId next_shard_ = 0;  // that a connection is handed to
    OpenStreams http_streams_;
    engine::Signal second_;
    engine::Signal reloaded_;
    engine::Scope listening_;
    engine::Scope connections_;
    engine::Scope each_second_;
    engine::Scope reloads_;
    engine::Scope background_;
    std::unique_ptr<TurnWatch> watch_;
    static SmtpAccess access_of(const Config& config,
                                std::shared_ptr<const engine::TlsContext> tls);
    struct Published {
        std::atomic<uint64_t> scheduled{0}, ready{0}, sending{0};
    } published_;
    std::unique_ptr<engine::ShardThread> thread_;
};

}  // namespace ingest
