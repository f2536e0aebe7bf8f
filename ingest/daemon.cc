#include "ingest/daemon.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <cstdio>
#include <thread>

#include "engine/delivery/in_doubt.h"
#include "engine/net/tls_context.h"
#include "ingest/config_watch.h"
#include "ingest/node_shard.h"
#include "ingest/service_manager.h"
#include "ingest/shard_watch.h"
#include "ingest/version.h"
#include "metrics/catalog.h"
#include "metrics/exposer.h"
#include "metrics/log.h"
#include "storage/store.h"

namespace ingest {

namespace catalog = metrics::catalog;

namespace {

constexpr auto drain_overrun = std::chrono::seconds(5);

int refuse(const std::string& why) {
    std::fprintf(stderr, "sluice: %s\n", why.c_str());
    return 1;
}

/// Signals are taken by sigtimedwait on the main thread only; every other thread inherits the
/// block.
sigset_t block_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
    return set;
}

/// How many there are then.
std::expected<rlim_t, std::string> raise_descriptor_limit() {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= Descriptors::least) return limit.rlim_cur;
    return std::unexpected(
        fmt::format("only {} file descriptors are allowed and at least {} are needed; raise "
                    "them with 'ulimit -n' or LimitNOFILE= in the unit",
                    limit.rlim_cur, Descriptors::least));
}

/// A core would hold keys and mail. RLIMIT_CORE would not do: a program that core_pattern pipes to
/// gets it all the same.
void forbid_core_dumps() {
    prctl(PR_SET_DUMPABLE, 0);
}

using QueuesByShard = std::vector<NodeShard::Queues>;

std::expected<QueuesByShard, std::string> queues_on_disk(storage::Store& store,
                                                         engine::ShardId shards) {
    auto rows = store.queues();
    if (!rows) return std::unexpected(rows.error().what);
    QueuesByShard queues(shards);
    for (auto& row : *rows)
        queues[engine::DeliveryShard::home_of(row.second.domain, shards)].push_back(std::move(row));
    return queues;
}

/// Deliveries that the ledger counts as open and no row explains, or the other way round. Commits
/// go on meanwhile, so a reading counts only when the rows stood still around it.
std::optional<double> unaccounted(const storage::Store& store) {
    for (int i = 0; i < 20; ++i) {
        const auto [before, exact] = store.delivery_rows();
        if (!exact) return std::nullopt;
        int64_t open = 0;
        for (const auto& [tenant, counts] : store.ledger())
            open += static_cast<int64_t>(counts.open());
        if (store.delivery_rows().first == before) return static_cast<double>(open - before);
    }
    return std::nullopt;
}

void observe_store(metrics::Registry& registry, const NodeShared& shared) {
    const storage::Store& store = shared.store;
    registry.gauge(catalog::storage_free).set(static_cast<double>(store.free_bytes()));
    registry.gauge(catalog::queue_bytes).set(static_cast<double>(store.data_bytes()));
    metrics::Counter& unreadable = registry.counter(catalog::storage_unreadable);
    unreadable.add(store.unreadable() - unreadable.value());
    const auto settings = shared.config.settings();
    registry.gauge(catalog::queue_limit).set(static_cast<double>(settings->queue_bytes_max));
    registry.gauge(catalog::storage_free_min).set(static_cast<double>(settings->free_disk_min));
    registry.gauge(catalog::memory_limit).set(static_cast<double>(settings->memory_bytes));
    registry.gauge(catalog::content_memory)
        .set(static_cast<double>(shared.content_memory.bytes.load(std::memory_order_relaxed)));
    const auto refusal = shared.gate.refusal();
    for (const char* limit : {"queue.bytes_max", "queue.free_disk_min", "storage", "drain"})
        registry.gauge(catalog::intake_closed, {limit})
            .set(refusal && refusal->limit == limit ? 1 : 0);
    if (const auto difference = unaccounted(store))
        registry.gauge(catalog::unaccounted_deliveries).set(*difference);
    uint64_t elsewhere = 0;
    for (const NodeShard* shard : shared.shards) {
        const auto status = shard->published();
        elsewhere += status.ready + status.sending;
    }
    const auto [rows, exact] = store.delivery_rows();
    if (exact)
        registry.gauge(catalog::queue_messages, {"scheduled"})
            .set(std::max(0.0, static_cast<double>(rows) - static_cast<double>(elsewhere)));
}

class Daemon {
  public:
    Daemon(const Config& config, ServiceManager manager)
        : config_(config), manager_(std::move(manager)) {}

    std::expected<void, std::string> start();
    /// Until a signal asks for the end and everything has drained. False: the bound was overrun.
    bool run(const sigset_t& signals);
    void end();

  private:
    engine::ShardId shard_count() const;
    void begin_reload();
    void look_at_files();
    std::expected<void, std::string> listen();
    std::string status() const;  // for the service manager
    std::expected<void, std::string> settle_left_in_doubt();

    const Config& config_;  // as it was at the start
    ServiceManager manager_;
    std::unique_ptr<storage::Store> store_;
    std::unique_ptr<storage::InDoubtFiles> in_doubt_;
    std::unique_ptr<NodeShared> shared_;
    std::vector<std::unique_ptr<NodeShard>> shards_;
    std::optional<ShardWatch> watch_;
    std::optional<ConfigWatch> files_;
    std::optional<uint64_t> reloading_;  // the service manager waits for this one
    std::unique_ptr<metrics::Exposer> exposer_;
};

engine::ShardId Daemon::shard_count() const {
    const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
    const unsigned wanted = config_.shards == 0 ? cores : config_.shards;
    return static_cast<engine::ShardId>(std::min(wanted, unsigned{engine::IdMaker::shards_max}));
}

/// Before any shard runs, so that queues are read as this leaves them.
std::expected<void, std::string> Daemon::settle_left_in_doubt() {
    const auto now =
        std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
    const auto settled = engine::settle_left_in_doubt(*in_doubt_, *store_, config_.delivery,
                                                      shards_.front()->metrics(), now);
    if (!settled) return std::unexpected(settled.error().what);
    return {};
}

std::expected<void, std::string> Daemon::start() {
    if (!config_.core_dumps) forbid_core_dumps();
    const auto descriptors = raise_descriptor_limit();
    if (!descriptors) return std::unexpected(descriptors.error());
    const engine::ShardId count = shard_count();
    const Descriptors parts = share_out(*descriptors, count);
    if (auto ring = engine::UringReactor::probe(); !ring) return std::unexpected(ring.error().what);
    auto store = storage::Store::open(
        {.data_dir = config_.data_dir, .log_dir = config_.log_dir, .tables_max = parts.tables});
    if (!store) return std::unexpected(store.error().what);
    store_ = std::move(*store);

    auto tls = engine::TlsContext::client(
        {.ca_file = config_.delivery.tls_ca_file, .least = config_.delivery.tls_least});
    if (!tls) return std::unexpected("[delivery] tls_ca_file: " + tls.error().what);
    if ((*tls)->trusted() == 0) {
        metrics::log::warn("tls.no_authorities",
                           {{"why",
                             "this system has no bundle of certificates of authorities, so "
                             "no host can be verified; install ca-certificates or set "
                             "[delivery] tls_ca_file"}});
    }

    auto listeners_tls = load_listeners_tls(config_.tls);
    if (!listeners_tls) return std::unexpected(listeners_tls.error());
    auto journals = storage::InDoubtFiles::open(config_.data_dir, count, store_->boot());
    if (!journals) return std::unexpected(journals.error().what);
    in_doubt_ = std::move(*journals);
    shared_ = std::make_unique<NodeShared>(
        std::make_shared<const Config>(config_),
        NodeShared::Tls{.for_hosts = std::move(*tls), .of_us = std::move(*listeners_tls)}, *store_,
        *in_doubt_, count);
    shared_->descriptors = parts;
    auto keys = load_keys(config_.dkim);
    if (!keys) return std::unexpected(keys.error());
    shared_->keyring.set(std::move(*keys));
    for (engine::ShardId id = 0; id < count; ++id) {
        auto reactor = engine::UringReactor::create();
        if (!reactor) return std::unexpected(reactor.error().what);
        auto dns = engine::CaresClient::create(
            **reactor, {.servers = config_.dns_servers, .believe_dnssec = config_.delivery.dane});
        if (!dns) return std::unexpected(dns.error().what);
        if (id == 0 && config_.delivery.dane && !(*dns)->servers_are_local()) {
            metrics::log::warn(
                "dane.off",
                {{"servers", (*dns)->servers()},
                 {"why", "not all are on this host, so their word on DNSSEC could be forged"},
                 {"hint",
                  "run a validating resolver here and name it in [dns] servers, "
                  "or set [delivery] dane = false"}});
        }
        try {
            shards_.push_back(
                std::make_unique<NodeShard>(*shared_, id, std::move(*reactor), std::move(*dns)));
        } catch (const std::runtime_error& unreadable) {  // the orders in the store
            return std::unexpected(unreadable.what());
        }
    }
    if (auto listening = listen(); !listening) return listening;
    watch_.emplace(shards_);
    files_.emplace(config_);
    if (!config_.listen.metrics.empty()) {
        auto exposer = metrics::Exposer::start(config_.listen.metrics, version);
        if (!exposer) return std::unexpected(exposer.error());
        exposer_ = std::move(*exposer);
        for (const auto& shard : shards_) exposer_->add(shard->metrics());
        exposer_->on_scrape([this](metrics::Registry& registry) {
            observe_store(registry, *shared_);
            for (size_t i = 0; i < shards_.size(); ++i)
                registry.gauge(catalog::shard_silent, {std::to_string(i)})
                    .set(watch_->silent_seconds(i));
        });
    }
    if (auto settled = settle_left_in_doubt(); !settled) return settled;
    auto queues = queues_on_disk(*store_, count);
    if (!queues) return std::unexpected(queues.error());
    size_t found = 0;
    for (engine::ShardId id = 0; id < count; ++id) {
        found += (*queues)[id].size();
        shards_[id]->start(std::move((*queues)[id]));
    }
    metrics::log::info("daemon.ready", {{"version", version},
                                        {"node", shared_->node_name},
                                        {"shards", count},
                                        {"boot", store_->boot()},
                                        {"queues", found},
                                        {"data_dir", config_.data_dir.string()}});
    manager_.ready(status());
    return {};
}

std::expected<void, std::string> Daemon::listen() {
    PassedSockets passed(manager_.take_sockets());
    if (auto listening = shards_.front()->listen(passed); !listening)
        return std::unexpected(listening.error().what);
    const auto left = passed.left();
    if (left.empty()) return {};
    return std::unexpected(fmt::format(
        "the service manager passes a socket that nothing in [listen] serves: {}; add it to "
        "[listen] http or smtp, or take it out of the .socket unit",
        fmt::join(left, ", ")));
}

std::string Daemon::status() const {
    return fmt::format("serving as {} with {} shards", shared_->node_name, shards_.size());
}

void Daemon::begin_reload() {
    if (!reloading_) manager_.reloading();
    reloading_ = shards_.front()->ask_reload();
}

void Daemon::look_at_files() {
    const auto config = shared_->config.get();
    if (config->watch && files_->has_changed(*config)) begin_reload();
}

bool Daemon::run(const sigset_t& signals) {
    using Clock = std::chrono::steady_clock;
    std::optional<Clock::time_point> overrun_at;
    while (shared_->drained.load(std::memory_order_acquire) < shards_.size()) {
        const bool soon = overrun_at || reloading_;
        const timespec look{.tv_sec = soon ? 0 : 1, .tv_nsec = soon ? 20'000'000 : 0};
        const int signal = sigtimedwait(&signals, nullptr, &look);
        // A drain has a bound of its own, so the watchdog need not look at the shards then.
        const bool turns = watch_->all_turned();
        if (turns || overrun_at) manager_.alive();
        if (signal == SIGHUP) begin_reload();
        if (reloading_ && shards_.front()->reloads_done() >= *reloading_) {
            reloading_.reset();
            manager_.ready(status());
        }
        if (!soon && signal < 0) look_at_files();
        if (signal == SIGTERM || signal == SIGINT) {
            if (overrun_at) {
                metrics::log::warn("daemon.stopped_at_once", {{"why", "a second signal"}});
                return false;
            }
            metrics::log::info("daemon.stopping",
                               {{"signal", signal == SIGTERM ? "SIGTERM" : "SIGINT"}});
            overrun_at = Clock::now() + shared_->config.settings()->drain + drain_overrun;
            manager_.stopping();
            shared_->gate.close_for_drain();
            for (const auto& shard : shards_) shard->stop();
        }
        if (overrun_at && Clock::now() > *overrun_at) {
            metrics::log::warn("daemon.drain_overrun",
                               {{"hint", "what was not recorded is sent again after a restart"}});
            return false;
        }
    }
    return true;
}

void Daemon::end() {
    exposer_.reset();
    for (const auto& shard : shards_) shard->join();
    metrics::log::info("daemon.stopped");
}

}  // namespace

int serve(const Config& config) {
    auto manager = ServiceManager::from_environment();
    const sigset_t signals = block_signals();
    metrics::log::start({.level = config.log_level});
    int code = 0;
    {
        Daemon daemon(config, std::move(manager));
        if (const auto started = daemon.start(); !started) {
            code = refuse(started.error());
        } else if (daemon.run(signals)) {
            daemon.end();
        } else {
            metrics::log::stop();
            std::_Exit(0);  // threads still hold what would be torn down; everything acknowledged
                            // is on disk
        }
    }
    metrics::log::stop();
    return code;
}

}  // namespace ingest
