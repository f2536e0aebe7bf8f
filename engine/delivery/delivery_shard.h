// DeliveryShard: one shard's part of the engine, wired together: the spool, the home of its
// domains, the sites that it owns, and the ways in. Other shards reach it only through the
// mailboxes.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/delivery/explanation.h"
#include "engine/delivery/gate.h"
#include "engine/delivery/home.h"
#include "engine/delivery/host_memory.h"
#include "engine/delivery/host_notes.h"
#include "engine/delivery/letter.h"
#include "engine/delivery/limit_metrics.h"
#include "engine/delivery/node.h"
#include "engine/delivery/orders.h"
#include "engine/delivery/shard_feed.h"
#include "engine/delivery/shard_intake.h"
#include "engine/delivery/shares.h"
#include "engine/delivery/site.h"
#include "engine/delivery/spool.h"
#include "engine/delivery/spread.h"
#include "engine/delivery/tempo_memory.h"
#include "engine/delivery/trace.h"
#include "engine/dns/resolver.h"
#include "engine/net/tls_sessions.h"
#include "engine/policy/sts_policies.h"
#include "engine/policy/tls_reports.h"
#include "engine/reactor/shards.h"

namespace engine {

class DeliveryShard;
class DkimKeyring;
/// All shards of the daemon by id; filled before the first one starts.
using ShardDirectory = std::vector<DeliveryShard*>;

struct DeliveryParts {
    Reactor& reactor;
    Post& post;
    Worker& storage_worker;
    Worker& signers;  // keeps no order
    const DkimKeyring& keyring;
    storage::Store& store;
    DnsClient& dns;
    Gate& gate;
    ContentMemory& content_memory;
    metrics::Registry& metrics;
    const ShardDirectory& shards;
    std::shared_ptr<const Settings> settings;
    std::shared_ptr<const TlsContext> tls;  // of connections to hosts
    storage::InDoubtJournal& in_doubt;      // of this shard's connections
    TotalLimits node{};                     // of all shards together
    /// Part of the time since the last call that the shard has worked; null: none.
    std::move_only_function<double()> busy{};
};

class DeliveryShard final : Lender, Returns, SpoolListener {
  public:
    explicit DeliveryShard(DeliveryParts parts);
    ~DeliveryShard() override;

    /// On the shard's thread, once. `queues`: those of this shard's domains that were on disk.
    void start(std::vector<std::pair<storage::QueueId, storage::QueueInfo>> queues);
    /// Ends all work: nothing new is begun, transactions in hand finish, what was decided is
    /// committed. What still runs at `deadline` is cut. Every shard must drain at the same time,
    /// because loans go home to others.
    Task<> drain(Instant deadline);

    /// Of a delivery whose domain has its home here.
    Task<HeldSettled> settle_held(Held held, HeldAnswer answer) {
        co_return co_await home_.settle_held(std::move(held), answer);
    }
    ShardIntake& intake() { return intake_; }
    Orders& orders() { return orders_; }
    /// Puts other settings in force. Mail in a transaction finishes; what is not begun goes by
    /// them.
    void use(std::shared_ptr<const Settings> next);
    ShardFeed& feed() { return feed_; }
    TraceDesk& traces() { return traces_; }
    DeliveryStatus status() const;  // of this shard
    // For operators: of this shard, in slices.
    Task<QueueOverview> queues(QueueQuestion question);
    Task<SiteOverview> sites(SiteQuestion question);
    Task<ProviderOverview> providers();
    /// Of mail for a domain whose home this shard is.
    Task<Explanation> explain(std::string domain);
    /// Nothing of it runs any more.
    bool at_rest() const;

    // For the keeper of the orders (orders.h), on this shard.
    Post& post() const { return parts_.post; }
    const Spool& spool() const { return spool_; }
    template <class Set>
    void obey(std::shared_ptr<const Set> orders) {
        orders_.use(std::move(orders));
        home_.obey_orders();
        send_home_stopped();
    }
    /// Returns when everything that was given to the spool by now has reached its home or was
    /// refused.
    Task<> announce_all();
    Home& home() { return home_; }

    /// For other shards, from any thread: what part of the last second this one has worked.
    double busy() const { return busy_.load(std::memory_order_relaxed); }

    static ShardId home_of(std::string_view domain, ShardId shards);

  private:
    void lend(Lending lending) override;
    void give_back(Return returned) override;
    void accepted(uint64_t group, std::vector<Arrival> arrivals) override;
    void events_readable(uint64_t upto) override;

    /// Mail of different demands does not share connections, nor does that of different pools: a
    /// Site each.
    struct SiteKey {
        std::string site;
        std::shared_ptr<const TlsDemand> tls;  // nearly all share one; null comes before all
        std::string pool;
        std::strong_ordering operator<=>(const SiteKey& other) const;
    };

    template <class Visit>
    Task<> each_site(Visit visit);
    StsPolicies* with_sts_policies();
    std::shared_ptr<const ReadyQueue::Tenancy> tenancy() const;
    void take(Lending lending);
    void lend_to(ShardId shard, Lending lending);
    ShardId owner_of(const std::string& site) const;

    // Sites on more than one shard (delivery_shard_spread.cc).
    bool helps_with(const std::string& site) const;
    void deal_out(Lending lending);
    void send_to_owner(Lending& lending);
    void bring_home(std::vector<Return> returned);
    void look_at_spreads();
    SiteLoad load_of(const std::string& site, uint64_t begun, uint64_t all) const;
    void look_at(const std::string& site, const SiteLoad& load);
    void spread(std::string site);
    void help_with(const std::string& site, std::shared_ptr<const PathLimits> limits);
    void end_spread(const std::string& site, std::string_view why);
    void stop_helping(const std::string& site);
    void say_done();
    void one_done(const std::string& site);
    void end_when_whole(const std::string& site, Spread& spread);
    void end_all_spreads();
    void tell_owners();
    void hear(const std::string& site, ShardId from, const PathWord& word);
    void count_open(const std::string& site, ShardId from, const PathWord& word);
    std::shared_ptr<SiteBudget> make_budget(const std::string& site);
    template <class Visit>
    void each_site_of(const std::string& site, Visit visit) const;
    Task<> explain_way(Explanation* said, std::string domain, std::shared_ptr<const Route> route);
    void use_at_sites(bool ways_changed);
    void retire(std::unique_ptr<Site> site);
    Site& site_for(const Lending& lending, storage::TlsRequest request, const Pool& pool);
    std::shared_ptr<SiteBudget> budget_of(const std::string& site);
    Task<> flush_returns();
    Task<> watch_disk();
    Task<> sweep_sites();
    void send_home_stopped();
    Task<> load_tempos();
    Task<> watch_limits();
    void look_at_limits();
    void let_sleep();
    Task<> drop_empty_queues();
    Task<bool> drop_queues(const std::vector<storage::QueueId>* queues);
    Task<> keep_tls_reports();
    Task<> keep_host_notes();
    Task<> wait_for_sites(Instant deadline);

    DeliveryParts parts_;
    SettingsInForce settings_;
    Resolver resolver_;
    TlsSessions tls_sessions_;
    std::optional<StsPolicies> sts_;
    TlsReports tls_reports_;
    HostMemory hosts_;
    HostNotes host_notes_;
    TempoMemory tempos_;
    Shares shares_;
    TraceDesk traces_;
    ShardFeed feed_;
    Spool spool_;
    ShardIntake intake_;
    Reports reports_;
    Orders orders_;
    Home home_;
    Letters letters_;
    SiteParts site_parts_;
    static constexpr size_t returns_about = 8;  // of a turn, to one home
    std::vector<std::vector<Return>> returns_;  // by home, until the end of the turn
    bool returns_flush_ = false;
    bool draining_ = false;
    Signal ticks_;
    Scope scope_;
    std::atomic<double> busy_{0};
    std::vector<Lending> early_;  // came before what was learned of its sites was read
    std::set<std::string, std::less<>> everywhere_;  // sites that are on all shards, as far as we
                                                     // know
    std::map<std::string, Spread, std::less<>> spreads_;  // of sites that this shard owns
    std::map<std::string, std::shared_ptr<const PathLimits>> helped_;  // that others own
    std::vector<std::string> leaving_;  // that are not helped any more; connections still end
    Deal deal_;                         // of what this home has lent of these
    std::pair<std::string, SpreadRule> hottest_;  // of those that are not spread
    // Last: loans that die with them go to returns_.
    std::map<SiteKey, std::unique_ptr<Site>> sites_;
    std::vector<Site*> awake_;  // of these, with mail now or a moment ago
    Instant look_at_all_{};     // of them; until then at those that are awake
    LimitMetrics limit_metrics_;
    std::vector<std::unique_ptr<Site>> retired_;  // of settings that are no more; they end
};

}  // namespace engine
