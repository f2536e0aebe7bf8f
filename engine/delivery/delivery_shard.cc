#include "engine/delivery/delivery_shard.h"

#include <algorithm>
#include <map>

#include "engine/delivery/limit_metrics.h"
#include "engine/delivery/place.h"
#include "engine/dns/address_policy.h"
#include "engine/reactor/call.h"
#include "engine/reactor/sleep.h"
#include "engine/reactor/yield.h"
#include "metrics/log.h"

namespace engine {

namespace {

constexpr auto disk_look = std::chrono::seconds(1);
constexpr auto collect_every = std::chrono::seconds(60);
constexpr auto site_look = std::chrono::seconds(5);  // for what expires while it waits there
constexpr auto site_sweep = std::chrono::seconds(60);
constexpr auto queue_sweep = std::chrono::seconds(60);
constexpr auto forget_every = std::chrono::hours(1);
constexpr auto limits_look = std::chrono::seconds(1);
constexpr auto all_sites_look = std::chrono::seconds(10);
constexpr auto keep_tempos_every = std::chrono::seconds(5);
constexpr auto drain_look = std::chrono::milliseconds(20);
constexpr auto cut_grace =
    std::chrono::seconds(2);  // for what was cut to come home and be committed

ResolverOptions resolver_options(const Settings& settings, metrics::Registry& registry) {
    return {.port = settings.port,
            .allow_addresses = settings.allow_addresses,
            .own_name = settings.node_name,
            .registry = &registry,
            .ipv6_first = has_global_ipv6()};
}

}  // namespace

ShardId DeliveryShard::home_of(std::string_view domain, ShardId shards) {
    return place_of(domain, shards);
}

DeliveryShard::DeliveryShard(DeliveryParts parts)
    : parts_(std::move(parts)),
      settings_(std::move(parts_.settings)),
      resolver_(parts_.reactor, parts_.dns, resolver_options(*settings_, parts_.metrics)),
      tls_reports_({parts_.reactor, parts_.storage_worker, parts_.store, parts_.post.self()}),
      hosts_(parts_.reactor),
      host_notes_({parts_.reactor, parts_.storage_worker, parts_.store, hosts_}),
      tempos_(parts_.storage_worker, parts_.store),
      shares_(
          {parts_.reactor, parts_.post, parts_.storage_worker, parts_.store,
           [&shards = parts_.shards](ShardId shard) -> Shares& { return shards[shard]->shares_; },
           parts_.node},
          *settings_),
      traces_(parts_.reactor, parts_.post.self()),
      feed_(parts_.reactor),
      spool_(parts_.reactor, parts_.storage_worker, parts_.store, parts_.post.self(), *this,
             parts_.metrics),
      intake_(parts_.reactor, spool_, parts_.gate, parts_.post.self(), parts_.store.last_job(),
              settings_, parts_.content_memory, parts_.storage_worker, parts_.store,
              parts_.metrics),
      reports_(intake_, settings_),
      orders_({parts_.reactor, parts_.post, parts_.storage_worker, parts_.store, parts_.shards,
               settings_->port, parts_.metrics}),
      home_({parts_.reactor, parts_.storage_worker, parts_.store, spool_, reports_, resolver_,
             *this, orders_, with_sts_policies(), tls_reports_, parts_.post.self(),
             parts_.post.count(), settings_, parts_.content_memory, parts_.metrics}),
      letters_({parts_.reactor, parts_.signers, parts_.keyring, parts_.metrics}),
      site_parts_{.reactor = parts_.reactor,
                  .resolver = resolver_,
                  .returns = *this,
                  .letters = letters_,
                  .hosts = hosts_,
                  .orders = orders_,
                  .shares = shares_,
                  .settings = settings_,
                  .metrics = parts_.metrics,
                  .stages = StageMetrics(parts_.metrics),
                  .tls = {parts_.tls, tls_sessions_, parts_.signers},
                  .in_doubt = parts_.in_doubt,
                  .traces = traces_,
                  .tenancy = tenancy()},
      returns_(parts_.post.count()),
      ticks_(parts_.reactor),
      deal_(parts_.post.count()),
      limit_metrics_(parts_.metrics) {
    feed_.note(parts_.store.last_event());
}

/// What the sites' ready queues ask of a tenant.
std::shared_ptr<const ReadyQueue::Tenancy> DeliveryShard::tenancy() const {
    return std::make_shared<const ReadyQueue::Tenancy>(
        [this](const std::string& tenant) { return settings_->weight_of(tenant); },
        [this](const std::string& tenant) { return shares_.limits_messages_of(tenant); });
}

/// Null when the operator has turned them off.
StsPolicies* DeliveryShard::with_sts_policies() {
    const Settings& settings = *settings_;
    if (!settings.mta_sts) return nullptr;
    return &sts_.emplace(StsParts{.reactor = parts_.reactor,
                                  .resolver = resolver_,
                                  .worker = parts_.storage_worker,
                                  .store = parts_.store,
                                  .metrics = parts_.metrics,
                                  .port = settings.mta_sts_port,
                                  .ca_file = settings.tls_ca_file,
                                  .thread_name = "https" + std::to_string(parts_.post.self())});
}

DeliveryShard::~DeliveryShard() {
    returns_flush_ = true;  // nothing runs any more: what still comes back is on disk as it was
}

void DeliveryShard::start(std::vector<std::pair<storage::QueueId, storage::QueueInfo>> queues) {
    scope_.spawn(shares_.load());
    scope_.spawn(load_tempos());
    for (auto& [id, info] : queues) home_.adopt(id, std::move(info));
    if (sts_) {
        sts_->start([self = parts_.post.self(), shards = parts_.post.count()](
                        const std::string& domain) { return home_of(domain, shards) == self; });
    }
    orders_.start();
    home_.start();
    scope_.spawn(sweep_sites());
    scope_.spawn(watch_limits());
    scope_.spawn(drop_empty_queues());
    scope_.spawn(keep_tls_reports());
    scope_.spawn(keep_host_notes());
    if (parts_.post.self() == 0) scope_.spawn(watch_disk());
}

void DeliveryShard::lend(Lending lending) {
    if (everywhere_.contains(lending.site)) return deal_out(std::move(lending));
    const ShardId owner = owner_of(lending.site);
    lend_to(owner, std::move(lending));
}

ShardId DeliveryShard::owner_of(const std::string& site) const {
    return place_of(site, parts_.post.count());
}

void DeliveryShard::lend_to(ShardId shard, Lending lending) {
    parts_.post.send(shard, [peer = parts_.shards[shard], lending = std::move(lending)]() mutable {
        peer->take(std::move(lending));
    });
}

/// Another shard may have read its first queue before this one has read what it had learned: what
/// it lends waits, or a start would be a storm at the receivers' doors.
Task<> DeliveryShard::load_tempos() {
    co_await tempos_.load();
    for (Lending& lending : std::exchange(early_, {})) take(std::move(lending));
}

void DeliveryShard::take(Lending lending) {
    if (!tempos_.loaded()) return early_.push_back(std::move(lending));
    send_to_owner(lending);
    // What was lent together may still ask for TLS in three ways, and leave by several pools.
    std::map<std::pair<storage::TlsRequest, const Pool*>, std::vector<Loan>> parted;
    Returns& home = *this;
    for (LoanTerms& terms : lending.loans) {
        const storage::Job& job = terms.job->job();
        const std::pair key(job.tls, &settings_->pool_of(job.pool));
        parted[key].emplace_back(std::move(terms), home);
    }
    // A reload comes to one shard after the other: what was lent by other settings goes home to
    // find its way by these, or it would wait here for a way and a demand that are no more.
    if (draining_ || lending.settings != settings_.number()) return;  // they go home as they die
    for (auto& [key, loans] : parted) {
        Site& site = site_for(lending, key.first, *key.second);
        if (site.wakes()) awake_.push_back(&site);
        site.take(lending.route, lending.domain, std::move(loans));
    }
}

Site& DeliveryShard::site_for(const Lending& lending, storage::TlsRequest request,
                              const Pool& pool) {
    const auto policy = [&] { return policy_for(*settings_, lending.domain, *lending.route); };
    const bool changed = request != storage::TlsRequest::by_policy;
    const SiteKey key{
        lending.site,
        changed ? std::make_shared<const TlsDemand>(demand_of(*lending.tls, policy(), request))
                : lending.tls,
        pool.name};
    std::unique_ptr<Site>& site = sites_[key];
    if (!site)
        site = std::make_unique<Site>(site_parts_, policy(), key.tls, pool, budget_of(key.site));
    return *site;
}

std::strong_ordering DeliveryShard::SiteKey::operator<=>(const SiteKey& other) const {
    if (const auto order = site <=> other.site; order != 0) return order;
    if (tls != other.tls) {
        if (!tls || !other.tls)
            return tls ? std::strong_ordering::greater : std::strong_ordering::less;
        if (const auto order = *tls <=> *other.tls; order != 0) return order;
    }
    return pool <=> other.pool;
}

/// That of a Site of the same hosts, or a new one.
std::shared_ptr<SiteBudget> DeliveryShard::budget_of(const std::string& site) {
    for (auto near = sites_.lower_bound({site, {}, {}}); near != sites_.end(); ++near) {
        if (near->first.site != site) break;
        if (near->second) return near->second->budget();
    }
    for (const auto& old : retired_)
        if (old->policy().site == site) return old->budget();
    return make_budget(site);
}

void DeliveryShard::give_back(Return returned) {
    std::vector<Return>& home = returns_[returned.terms.home];
    if (home.empty()) home.reserve(returns_about);
    home.push_back(std::move(returned));
    if (std::exchange(returns_flush_, true)) return;
    scope_.spawn(flush_returns());
}

Task<> DeliveryShard::flush_returns() {
    co_await yield(parts_.reactor);  // what ends in the same turn goes home together
    returns_flush_ = false;
    for (ShardId home = 0; home < parts_.post.count(); ++home) {
        if (returns_[home].empty()) continue;
        parts_.post.send(home, [peer = parts_.shards[home],
                                returned = std::exchange(returns_[home], {})]() mutable {
            peer->bring_home(std::move(returned));
        });
    }
}

void DeliveryShard::accepted(uint64_t group, std::vector<Arrival> arrivals) {
    const ShardId shards = parts_.post.count();
    std::vector<std::vector<Arrival>> by_home(shards);
    for (Arrival& arrival : arrivals)
        by_home[home_of(arrival.queue->domain, shards)].push_back(std::move(arrival));
    for (ShardId home = 0; home < shards; ++home) {
        if (by_home[home].empty()) continue;
        parts_.post.send(home, [peer = parts_.shards[home], from = parts_.post.self(), group,
                                arrived = std::move(by_home[home])]() mutable {
            peer->home_.arrive(from, group, std::move(arrived));
        });
    }
}

void DeliveryShard::events_readable(uint64_t upto) {
    feed_.advance(upto);
    for (ShardId other = 0; other < parts_.post.count(); ++other) {
        if (other == parts_.post.self()) continue;
        ShardFeed& feed = parts_.shards[other]->feed_;
        feed.note(upto);
        if (feed.awaited()) parts_.post.send(other, [&feed, upto] { feed.advance(upto); });
    }
}

Task<> DeliveryShard::watch_disk() {
    Instant next_collect = parts_.reactor.now() + collect_every;
    while (!draining_) {
        const bool collect = parts_.reactor.now() >= next_collect;
        if (collect) next_collect = parts_.reactor.now() + collect_every;
        storage::Result<void> collected;
        uint64_t free_bytes = 0, data_bytes = 0;
        const WallTime now = parts_.reactor.wall();
        co_await parts_.storage_worker.run([&, &store = parts_.store] {
            if (collect) collected = store.collect(now);
            store.give_back_memory(now);
            free_bytes = store.free_bytes();
            data_bytes = store.data_bytes();
        });
        if (!collected)
            metrics::log::warn("storage.collect_failed", {{"error", collected.error().what}});
        const auto before = parts_.gate.refusal();
        parts_.gate.observe(*settings_, free_bytes, data_bytes, parts_.store.healthy());
        const auto after = parts_.gate.refusal();
        if (after && (!before || before->why != after->why))
            metrics::log::warn("ingest.refused", {{"limit", after->limit},
                                                  {"why", after->message},
                                                  {"free_bytes", free_bytes},
                                                  {"data_bytes", data_bytes}});
        if (before && !after) metrics::log::info("ingest.open_again");
        co_await ticks_.wait_until(parts_.reactor.now() + disk_look);
    }
}

Task<> DeliveryShard::sweep_sites() {
    Instant next_sweep = parts_.reactor.now() + site_sweep;
    while (!draining_) {
        co_await ticks_.wait_until(parts_.reactor.now() + site_look);
        if (draining_) break;
        send_home_stopped();
        let_sleep();
        std::erase_if(retired_, [](const auto& site) { return site->idle(); });
        say_done();
        if (parts_.reactor.now() < next_sweep) continue;
        next_sweep = parts_.reactor.now() + site_sweep;
        const Instant now = parts_.reactor.now();
        // What is idle has fallen asleep: awake_ knows none of them.
        std::erase_if(sites_, [&](const auto& entry) {
            return entry.second->idle() && !entry.second->budget()->remembers(now) &&
                   !spreads_.contains(entry.first.site);
        });
    }
}

void DeliveryShard::send_home_stopped() {
    for (Site* site : awake_) site->send_home_stopped();
}

/// With tens of thousands of idle connections a look at each site was most of what the engine did.
void DeliveryShard::let_sleep() {
    std::erase_if(awake_, [](Site* site) { return site->falls_asleep(); });
}

Task<> DeliveryShard::announce_all() {
    co_await spool_.passed(spool_.groups_begun());
    // What is sent behind the announcements arrives behind them.
    for (DeliveryShard* shard : parts_.shards)
        co_await call(parts_.post, shard->parts_.post, [] {});
}

/// What holds mail back is counted by its name, what was learned is kept. Nothing but mail changes
/// it, so that sites at rest are looked at now and then only.
void DeliveryShard::look_at_limits() {
    const Instant now = parts_.reactor.now();
    const auto look = [&](const Site& site) {
        if (helps_with(site.budget()->site())) return;  // its owner says it
        limit_metrics_.observe(site, now);
        tempos_.note(site.policy().site, *site.budget());
    };
    if (now >= look_at_all_) {
        look_at_all_ = now + all_sites_look;
        limit_metrics_.forget_those_at_rest();
        for (const auto& [key, site] : sites_) look(*site);
    } else {
        for (const Site* site : awake_) look(*site);
    }
    limit_metrics_.publish();
}

/// Once a second.
Task<> DeliveryShard::watch_limits() {
    Instant next_keep = parts_.reactor.now() + keep_tempos_every;
    while (!draining_) {
        co_await ticks_.wait_until(parts_.reactor.now() + limits_look);
        shares_.tick();
        look_at_limits();
        look_at_spreads();
        if (parts_.reactor.now() < next_keep && !draining_) continue;
        next_keep = parts_.reactor.now() + keep_tempos_every;
        co_await tempos_.keep();
    }
}

Task<> DeliveryShard::drop_empty_queues() {
    while (!draining_) {
        co_await ticks_.wait_until(parts_.reactor.now() + queue_sweep);
        while (!draining_) {
            const std::vector<storage::QueueId> queues = home_.take_empty();
            if (queues.empty()) break;
            if (co_await drop_queues(&queues)) continue;
            home_.put_back_empty(queues);
            break;
        }
    }
}

/// An ingest shard that knows a queue's row to be there does not write it again. So all of them are
/// told first, and what they had under way has ended before the row goes.
Task<bool> DeliveryShard::drop_queues(const std::vector<storage::QueueId>* queues) {
    for (DeliveryShard* peer : parts_.shards)
        co_await call(parts_.post, peer->parts_.post, [peer, queues] [[clang::coro_wrapper]] {
            return peer->intake_.rewrite_rows(*queues);
        });
    storage::Result<bool> dropped;
    co_await parts_.storage_worker.run(
        [&dropped, queues, &store = parts_.store] { dropped = store.drop_queues(*queues); });
    for (DeliveryShard* peer : parts_.shards)
        co_await call(parts_.post, peer->parts_.post,
                      [peer, queues] { peer->intake_.let_go(*queues); });
    if (!dropped) metrics::log::warn("queue.rows_not_dropped", {{"error", dropped.error().what}});
    co_return dropped.value_or(false);
}

Task<> DeliveryShard::keep_tls_reports() {
    Instant next_forget = parts_.reactor.now();
    while (!draining_) {
        if (parts_.post.self() == 0 && parts_.reactor.now() >= next_forget) {
            next_forget = parts_.reactor.now() + forget_every;
            co_await tls_reports_.forget();
        }
        // A drain that began meanwhile has told everybody who waited then.
        if (!draining_) co_await ticks_.wait_until(parts_.reactor.now() + TlsReports::flush_every);
        co_await tls_reports_.flush();
    }
}

Task<> DeliveryShard::keep_host_notes() {
    co_await host_notes_.recall();
    Instant next_forget = parts_.reactor.now();
    while (!draining_) {
        if (parts_.post.self() == 0 && parts_.reactor.now() >= next_forget) {
            next_forget = parts_.reactor.now() + forget_every;
            co_await host_notes_.forget();
        }
        if (!draining_)  // as above
            co_await ticks_.wait_until(parts_.reactor.now() + HostNotes::save_every);
        co_await host_notes_.save();
    }
}

Task<> DeliveryShard::drain(Instant deadline) {
    draining_ = true;
    ticks_.notify_all();
    home_.stop_lending();
    for (auto& [name, site] : sites_) site->drain();
    // A look-up can take longer than the drain may, and nothing new is begun with its answer.
    co_await parts_.dns.stop();
    co_await wait_for_sites(deadline);
    for (auto& [name, site] : sites_) site->cut();
    for (const auto& site : retired_) site->cut();
    co_await wait_for_sites(parts_.reactor.now() + cut_grace);
    if (sts_) co_await sts_->stop();
    co_await orders_.stop();
    co_await home_.drained();
    co_await tls_reports_.flush();
    co_await host_notes_.save();
    for (const auto& [key, site] : sites_)
        if (!helps_with(key.site)) tempos_.note(key.site, *site->budget());
    co_await tempos_.keep();
    co_await shares_.stop();
    co_await spool_.flush();
    co_await scope_.join();
}

Task<> DeliveryShard::wait_for_sites(Instant deadline) {
    const auto busy = [this] {
        return std::ranges::any_of(sites_,
                                   [](const auto& entry) { return !entry.second->idle(); }) ||
               std::ranges::any_of(retired_, [](const auto& site) { return !site->idle(); });
    };
    while (busy() && parts_.reactor.now() < deadline)
        co_await sleep_for(parts_.reactor, drain_look);
}

bool DeliveryShard::at_rest() const {
    return scope_.running() == 0 &&
           std::ranges::all_of(sites_, [](const auto& entry) { return entry.second->idle(); }) &&
           std::ranges::all_of(retired_, [](const auto& site) { return site->idle(); });
}

DeliveryStatus DeliveryShard::status() const {
    const Home::Status home = home_.status();
    DeliveryStatus status{.scheduled = home.waiting,
                          .queues = home.queues,
                          .oldest_seconds = home.oldest_seconds,
                          .draining = draining_};
    const auto add = [&](const Site& site) {
        const Site::Status of_site = site.status();
        status.ready += of_site.ready;
        status.sending += of_site.sending;
        status.connections_busy += of_site.busy;
        status.connections_idle += of_site.idle;
    };
    for (const auto& [key, site] : sites_) {
        add(*site);
        status.sites += !helps_with(key.site);
    }
    for (const auto& site : retired_) add(*site);
    return status;
}

}  // namespace engine
