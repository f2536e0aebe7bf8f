#include "ingest/node_shard.h"

#include <algorithm>

#include "engine/net/tcp_stream.h"
#include "engine/reactor/call.h"
#include "engine/reactor/sleep.h"
#include "ingest/busy_part.h"
#include "ingest/http_api.h"
#include "ingest/secured_stream.h"
#include "ingest/version.h"
#include "metrics/catalog.h"
#include "metrics/log.h"

namespace ingest {

namespace catalog = metrics::catalog;
using engine::Task;

namespace {

constexpr auto publish_every = std::chrono::seconds(1);
constexpr auto ingest_grace = std::chrono::seconds(3);  // for requests in hand when we stop
constexpr auto drain_margin =
    std::chrono::seconds(4);            // of the bound, for what is cut to be committed
constexpr size_t turned_away_part = 8;  // of ingest's connections: beyond them, who are told so

unsigned signer_count(const Config& config) {
    return config.signers == 0 ? std::max(1u, std::thread::hardware_concurrency()) : config.signers;
}

std::string thread_name(const char* what, engine::ShardId id) {
    return what + std::to_string(id);
}

std::vector<engine::AddressRange> networks(const std::vector<std::string>& texts) {
    std::vector<engine::AddressRange> ranges;
    for (const std::string& text : texts) {
        const auto range = engine::AddressRange::parse(text);
        CHECK(range.has_value(), "a network that the configuration's check let pass is none");
        ranges.push_back(*range);
    }
    return ranges;
}

/// Sites wait for their turn before descriptors run out.
engine::TotalLimits node_total(const Descriptors& descriptors) {
    engine::TotalLimits total{.connections = descriptors.outbound};
    total.origins[static_cast<size_t>(engine::TotalLimit::connections)] = "RLIMIT_NOFILE";
    return total;
}

}  // namespace

NodeShared::NodeShared(std::shared_ptr<const Config> from, Tls contexts, storage::Store& with,
                       storage::InDoubtFiles& journals, engine::ShardId count)
    : config(from),
      node_name(from->delivery.node_name),
      tls(std::move(contexts)),
      store(with),
      in_doubt(journals),
      signers("sign", signer_count(*from), count),
      long_work("long", 1, count),
      exchange(count),
      idempotency(count),
      directory(count),
      shards(count) {}

class NodeShard::TurnWatch final : public engine::Source {
  public:
    explicit TurnWatch(NodeShard& shard) : shard_(shard) {}

    bool drain() override {
        const engine::ReactorStats& stats = shard_.reactor_->stats();
        shard_.loop_metrics_.turned(stats);
        shard_.turns_.store(stats.turns, std::memory_order_relaxed);
        if (!pending()) return false;
        if (reload_wanted()) {
            shard_.reloads_as_asked_ = true;
            shard_.reloads_.spawn(shard_.reload_as_asked());
        }
        if (!drain_wanted()) return true;
        begun_ = true;
        shard_.background_.spawn(shard_.drain());
        return true;
    }
    bool pending() const override { return drain_wanted() || reload_wanted(); }
    void ask() { asked_.store(true, std::memory_order_release); }

  private:
    bool drain_wanted() const { return !begun_ && asked_.load(std::memory_order_acquire); }
    bool reload_wanted() const {
        return !shard_.reloads_as_asked_ &&
               shard_.reloads_done() < shard_.reloads_asked_.load(std::memory_order_acquire);
    }

    NodeShard& shard_;
    std::atomic<bool> asked_{false};
    bool begun_ = false;
};

NodeShard::NodeShard(NodeShared& shared, engine::ShardId id,
                     std::unique_ptr<engine::UringReactor> reactor,
                     std::unique_ptr<engine::CaresClient> dns)
    : shared_(shared),
      id_(id),
      loop_metrics_(metrics_, id),
      reactor_(std::move(reactor)),
      post_(shared.exchange.post(id)),
      commits_(*reactor_, thread_name("commit", id)),
      reads_(*reactor_, thread_name("read", id)),
      signers_(shared.signers, *reactor_),
      long_work_(shared.long_work, *reactor_),
      dns_(std::move(dns)),
      delivery_({*reactor_, post_, commits_, signers_, shared.keyring, shared.store, *dns_,
                 shared.gate, shared.content_memory, metrics_, shared.directory,
                 shared.config.settings(), shared.tls.for_hosts, shared.in_doubt.journal(id),
                 node_total(shared.descriptors), BusyPart{*reactor_}}),
      api_keys_(shared.config.get()->tenants, shared.config.get()->listen.admin_key_sha256),
      key_desk_{shared.idempotency, post_, reads_, shared.store},
      live_(*reactor_, reads_, shared.store),
      http_{.reactor = *reactor_,
            .post = post_,
            .worker = reads_,
            .long_work = long_work_,
            .store = shared.store,
            .intake = delivery_.intake(),
            .feed = delivery_.feed(),
            .node = *this,
            .metrics = metrics_,
            .idempotency = shared.idempotency,
            .draining = draining_,
            .api_keys = api_keys_,
            .node_name = shared.node_name,
            .version = version,
            .reporter = {.sender = shared.node_name,
                         .organization = shared.config.get()->organization,
                         .contact = shared.config.get()->contact},
            .config = shared.config.get(),
            .reloader = this,
            .live = &live_,
            .console = &shared.console,
            .orders = &delivery_.orders(),
            .reader = JobReader([&intake = delivery_.intake()](std::string_view name) {
                return intake.has_pool(name);
            })},
      smtp_{.clock = *reactor_,
            .worker = reads_,
            .intake = delivery_.intake(),
            .metrics = metrics_,
            .draining = draining_,
            .access = access_of(*shared.config.get(), shared.tls.of_us),
            .keys = &key_desk_},
      second_(*reactor_),
      reloaded_(*reactor_),
      watch_(std::make_unique<TurnWatch>(*this)) {
    shared.exchange.attach(id, *reactor_);
    shared.idempotency.attach(post_);
    shared.directory[id] = &delivery_;
    shared.shards[id] = this;
    reactor_->add_source(*watch_);
    const auto config = shared.config.get();
    if (id == 0) {
        passwords_.emplace(*reactor_, "passwords");
        logins_.emplace(*reactor_, *passwords_, config->credentials);
        shared.logins = &*logins_;
        observe_config(metrics_, *config);
        metrics_.gauge(catalog::config_reload_successful).set(1);
        metrics_.gauge(catalog::config_restart_needed).set(0);
    }
    if (id == 0)
        webhooks_.emplace(*reactor_, shared.store, delivery_.feed(), metrics_, config->webhooks);
    login_desk_.emplace(post_, shared.exchange.post(0), *shared.logins);
    offer_logins(*config);
}

SmtpAccess NodeShard::access_of(const Config& config,
                                std::shared_ptr<const engine::TlsContext> tls) {
    return {.trusted = networks(config.listen.smtp_trusted), .tls = std::move(tls)};
}

/// Where nobody has a password, AUTH is not offered.
void NodeShard::offer_logins(const Config& config) {
    smtp_.logins = config.credentials.empty() ? nullptr : &*login_desk_;
}

uint64_t NodeShard::ask_reload() {
    const uint64_t asked = reloads_asked_.fetch_add(1, std::memory_order_acq_rel) + 1;
    reactor_->wake();
    return asked;
}

NodeShard::~NodeShard() = default;

engine::Result<void> NodeShard::listen(PassedSockets& passed) {
    const auto open = [&](const std::string& text,
                          Door::Protocol protocol) -> engine::Result<void> {
        const bool tls = text.starts_with("tls:");
        const auto address =
            engine::SocketAddress::parse(std::string_view(text).substr(tls ? 4 : 0));
        if (!address) return engine::failure(engine::Errc::protocol, text + " is no address");
        const auto fd = passed.take(*address);
        auto listener = fd ? engine::Listener::adopt(*reactor_, *fd)
                           : engine::Listener::open(*reactor_, *address);
        if (!listener) return std::unexpected(std::move(listener).error());
        listeners_.emplace_back(std::move(*listener),
                                Door{protocol, tls ? SmtpPort::tls : SmtpPort::plain});
        return {};
    };
    const auto config = shared_.config.get();
    for (const std::string& address : config->listen.http)
        if (auto opened = open(address, Door::Protocol::http); !opened) return opened;
    for (const std::string& address : config->listen.smtp)
        if (auto opened = open(address, Door::Protocol::smtp); !opened) return opened;
    return {};
}

void NodeShard::start(Queues queues) {
    std::vector<const metrics::Registry*> registries;
    for (const NodeShard* shard : shared_.shards) registries.push_back(&shard->metrics_);
    live_.watch(std::move(registries), {post_, shared_.exchange.post(0), shared_.history});
    thread_ = std::make_unique<engine::ShardThread>(
        *reactor_, thread_name("shard", id_), std::nullopt,
        [this, queues = std::move(queues)]() mutable {
            delivery_.start(std::move(queues));
            each_second_.spawn(publish());
            each_second_.spawn(write_back());
            if (id_ == 0) each_second_.spawn(remember());
            if (webhooks_) webhooks_->start();
            for (auto& [listener, door] : listeners_)
                listening_.spawn(accept_from(*listener, door));
        });
}

void NodeShard::stop() {
    watch_->ask();
    reactor_->wake();
}

bool NodeShard::at_rest() const {
    return connections_.running() == 0 && background_.running() == 0 &&
           each_second_.running() == 0 && reloads_.running() == 0 && delivery_.at_rest();
}

Task<> NodeShard::accept_from(engine::Listener& listener, Door door) {
    for (;;) {
        const auto fd = co_await listener.accept();
        if (!fd) {
            if (fd.error().code == engine::Errc::closed) co_return;
            metrics::log::warn("listen.accept_failed", {{"error", fd.error().what}});
            continue;
        }
        // One shard accepts and hands the connections round: even, and a Unix socket has one
        // listener only.
        NodeShard* next = shared_.shards[next_shard_];
        next_shard_ = static_cast<engine::ShardId>((next_shard_ + 1) % shared_.shards.size());
        post_.send(next->id_, [next, arrived = arrival(*fd, door)]() mutable {
            next->take_connection(std::move(arrived));
        });
    }
}

/// On the shard that accepts, which knows how many connections the peer has.
NodeShard::Arrival NodeShard::arrival(int fd, Door door) {
    Arrival arrived{.fd = fd, .door = door, .peer = engine::peer_name(*reactor_, fd)};
    const auto address = engine::SocketAddress::parse(arrived.peer);
    if (!address || address->is_loopback() || smtp_.access.trusts(address->ip())) return arrived;
    std::string network = peer_network(arrived.peer);
    if (shared_.peers.take(network)) {
        arrived.counted_as = std::move(network);
    } else {
        arrived.refused = "too many connections from your address; close some";
    }
    return arrived;
}

void NodeShard::take_connection(Arrival arrived) {
    const size_t open = connections_.running();
    const size_t most = shared_.descriptors.ingest;
    if (open >= most) arrived.refused = "too many connections; come again";
    // Who is turned away takes a moment, too.
    if (draining_ || open >= most + most / turned_away_part) {
        reactor_->close_socket(arrived.fd);
        return give_back(arrived.counted_as);
    }
    connections_.spawn(serve_connection(std::move(arrived)));
}

void NodeShard::give_back(const std::string& counted_as) {
    if (counted_as.empty()) return;
    post_.send(0, [shared = &shared_, counted_as] { shared->peers.release(counted_as); });
}

Task<> NodeShard::serve_connection(Arrival arrived) {
    co_await serve_arrival(&arrived);
    give_back(arrived.counted_as);
}

Task<> NodeShard::serve_arrival(const Arrival* arrived) {
    std::unique_ptr<engine::Stream> stream =
        std::make_unique<engine::TcpStream>(*reactor_, arrived->fd, arrived->peer);
    const Door door = arrived->door;
    if (door.protocol == Door::Protocol::smtp) {
        if (!arrived->refused) co_return co_await serve_smtp(std::move(stream), &smtp_, door.port);
        if (door.port == SmtpPort::plain)
            co_await refuse_smtp(std::move(stream), &smtp_, arrived->refused);
        co_return;
    }
    if (arrived->refused) co_return;
    stream = http_streams_.track(std::move(stream));
    if (door.port == SmtpPort::tls) {
        stream = co_await secure_stream(std::move(stream), smtp_.access.tls, &reads_,
                                        reactor_->now() + SmtpLimits::handshake);
        if (!stream) co_return;
    }
    co_await serve_http(std::move(stream), http_);
}

/// Makes the shard's state readable for other threads, once a second.
Task<> NodeShard::publish() {
    const auto gauge = [this](const char* state) -> metrics::Gauge& {
        return metrics_.gauge(catalog::queue_messages, {state});
    };
    metrics::Gauge& ready = gauge("ready");
    metrics::Gauge& sending = gauge("sending");
    metrics::Gauge& oldest = metrics_.gauge(catalog::queue_oldest);
    metrics::Gauge& queues = metrics_.gauge(catalog::queues);
    metrics::Gauge& sites = metrics_.gauge(catalog::sites);
    metrics::Gauge& connections = metrics_.gauge(catalog::ingest_connections);
    while (!draining_) {
        const engine::DeliveryStatus now = delivery_.status();
        ready.set(static_cast<double>(now.ready));
        sending.set(static_cast<double>(now.sending));
        oldest.set(now.oldest_seconds);
        queues.set(static_cast<double>(now.queues));
        sites.set(static_cast<double>(now.sites));
        connections.set(static_cast<double>(connections_.running()));
        loop_metrics_.observe(
            reactor_->stats(),
            {.mailbox = post_.waiting(), .commits = commits_.backlog(), .reads = reads_.backlog()});
        published_.scheduled.store(now.scheduled, std::memory_order_relaxed);
        published_.ready.store(now.ready, std::memory_order_relaxed);
        published_.sending.store(now.sending, std::memory_order_relaxed);
        co_await second_.wait_until(reactor_->now() + publish_every);
    }
}

/// For what a power cut leaves of the journal; nobody waits for it.
Task<> NodeShard::write_back() {
    while (!draining_) {
        co_await commits_.run([this] { shared_.in_doubt.start_writeback(id_); });
        if (draining_) break;  // drain() has woken those that waited then
        co_await second_.wait_until(reactor_->now() + publish_every);
    }
}

/// The counts of each second, for whoever begins to look.
Task<> NodeShard::remember() {
    while (!draining_) {
        storage::JobCounts totals;
        co_await reads_.run([&] { totals = shared_.store.totals(); });
        shared_.history.add(reactor_->wall(), totals);
        if (draining_) break;
        co_await second_.wait_until(reactor_->now() + publish_every);
    }
}

engine::DeliveryStatus NodeShard::published() const {
    return {.scheduled = published_.scheduled.load(std::memory_order_relaxed),
            .ready = published_.ready.load(std::memory_order_relaxed),
            .sending = published_.sending.load(std::memory_order_relaxed)};
}

Task<engine::DeliveryStatus> NodeShard::status() {
    engine::DeliveryStatus sum;
    for (NodeShard* shard : shared_.shards) {
        const auto one = co_await engine::call(post_, shard->post_,
                                               [shard] { return shard->delivery_.status(); });
        sum.scheduled += one.scheduled;
        sum.ready += one.ready;
        sum.sending += one.sending;
        sum.queues += one.queues;
        sum.sites += one.sites;
        sum.connections_busy += one.connections_busy;
        sum.connections_idle += one.connections_idle;
        sum.oldest_seconds = std::max(sum.oldest_seconds, one.oldest_seconds);
        sum.draining |= one.draining;
    }
    // What waits on disk is in no shard's memory; the rows on disk are all there is.
    if (const auto [rows, exact] = shared_.store.delivery_rows(); exact)
        sum.scheduled = static_cast<uint64_t>(
            std::max<int64_t>(rows - static_cast<int64_t>(sum.ready + sum.sending), 0));
    co_return sum;
}

Task<engine::HeldSettled> NodeShard::settle_held(engine::Held held, engine::HeldAnswer answer) {
    const auto shards = static_cast<engine::ShardId>(shared_.shards.size());
    NodeShard* home = shared_.shards[engine::DeliveryShard::home_of(held.domain, shards)];
    co_return co_await engine::call(post_, home->post_,
                                    [home, held = std::move(held), answer] [[clang::coro_wrapper]] {
                                        return home->delivery_.settle_held(held, answer);
                                    });
}

namespace {

/// Questions to a shard; their own frames hold what they need, because they run elsewhere.
struct QueuesOf {
    engine::DeliveryShard* shard;
    engine::QueueQuestion question;
    Task<engine::QueueOverview> operator()() { co_return co_await shard->queues(question); }
};
struct SitesOf {
    engine::DeliveryShard* shard;
    engine::SiteQuestion question;
    Task<engine::SiteOverview> operator()() { co_return co_await shard->sites(question); }
};
struct ExplanationOf {
    engine::DeliveryShard* shard;
    std::string domain;
    Task<engine::Explanation> operator()() { co_return co_await shard->explain(domain); }
};
struct ProvidersOf {
    engine::DeliveryShard* shard;
    Task<engine::ProviderOverview> operator()() { co_return co_await shard->providers(); }
};

}  // namespace

Task<engine::TraceRead> NodeShard::trace(uint64_t viewer,
                                         std::shared_ptr<const engine::TraceFilter> filter) {
    engine::TraceRead sum{.seated = true};
    for (NodeShard* shard : shared_.shards) {
        auto one = co_await engine::call(post_, shard->post_, [shard, viewer, filter] {
            return shard->delivery_.traces().read(viewer, filter);
        });
        sum.seated &= one.seated;
        sum.left_out += one.left_out;
        std::ranges::move(one.lines, std::back_inserter(sum.lines));
    }
    std::ranges::stable_sort(sum.lines, {}, &engine::TraceLine::at);
    co_return sum;
}

Task<engine::QueueOverview> NodeShard::queues(engine::QueueQuestion question) {
    engine::QueueOverview sum;
    for (NodeShard* shard : shared_.shards) {
        QueuesOf asked{&shard->delivery_, question};
        sum.add(co_await engine::call(post_, shard->post_, std::move(asked)));
    }
    co_return sum;
}

Task<engine::SiteOverview> NodeShard::sites(engine::SiteQuestion question) {
    engine::SiteOverview sum;
    for (NodeShard* shard : shared_.shards) {
        SitesOf asked{&shard->delivery_, question};
        sum.add(co_await engine::call(post_, shard->post_, std::move(asked)));
    }
    sum.finish(question.limit);
    co_return sum;
}

Task<engine::ProviderOverview> NodeShard::providers() {
    engine::ProviderOverview sum;
    for (NodeShard* shard : shared_.shards) {
        ProvidersOf asked{&shard->delivery_};
        const auto one = co_await engine::call(post_, shard->post_, std::move(asked));
        for (const auto& [name, provider] : one) sum[name].add(provider);
    }
    co_return sum;
}

Task<engine::Explanation> NodeShard::explain(std::string domain) {
    const auto shards = static_cast<engine::ShardId>(shared_.shards.size());
    NodeShard* home = shared_.shards[engine::DeliveryShard::home_of(domain, shards)];
    ExplanationOf asked{&home->delivery_, std::move(domain)};
    co_return co_await engine::call(post_, home->post_, std::move(asked));
}

Task<> NodeShard::drain() {
    draining_ = true;
    second_.notify_all();
    reloaded_.notify_all();
    for (auto& [listener, door] : listeners_) listener->close();
    co_await listening_.join();
    engine::Scope ending;
    ending.spawn(end_ingest());
    co_await delivery_.drain(reactor_->now() + shared_.config.settings()->drain - drain_margin);
    co_await ending.join();
    if (webhooks_)
        co_await webhooks_->stop();  // what is not told by now is told after the next start
    co_await dns_->stop();
    co_await each_second_.join();
    co_await reloads_.join();
    shared_.drained.fetch_add(1, std::memory_order_release);
}

Task<> NodeShard::end_ingest() {
    const engine::Instant patience = reactor_->now() + ingest_grace;
    while (connections_.running() > 0 && reactor_->now() < patience)
        co_await engine::sleep_for(*reactor_, std::chrono::milliseconds(10));
    http_streams_.close_all();
    smtp_.close_all();
    co_await connections_.join();
    co_await live_.stop();
}

}  // namespace ingest
