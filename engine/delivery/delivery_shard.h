// DeliveryShard: one shard's part of the engine, wired together: the spool, the home of its
// domains, the sites that it owns, and the ways in. Other shards reach it only through the
// mailboxes.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/delivery/explanation.h"
#include "engine/delivery/gate.h"
#include "engine/delivery/home.h"
#include "engine/delivery/host_memory.h"
#include "engine/delivery/host_notes.h"
#include "engine/delivery/letter.h"
#include "engine/delivery/node.h"
#include "engine/delivery/orders.h"
#include "engine/delivery/shard_feed.h"
#include "engine/delivery/shard_intake.h"
#include "engine/delivery/shares.h"
#include "engine/delivery/site.h"
#include "engine/delivery/spool.h"
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
        TlsDemand tls;
        std::string pool;
        auto operator<=>(const SiteKey&) const = default;
    };

    template <class Visit>
    Task<> each_site(Visit visit);
    StsPolicies* with_sts_policies();
    void take(Lending lending);
    Task<> explain_way(Explanation* said, std::string domain, std::shared_ptr<const Route> route);
    void use_at_sites(bool ways_changed);
    void retire(std::unique_ptr<Site> site);
    Site& site_for(const Lending& lending, storage::TlsRequest request, const Pool& pool);
    std::shared_ptr<SiteBudget> budget_of(const std::string& site) const;
    Task<> flush_returns();
    Task<> watch_disk();
    Task<> sweep_sites();
    void send_home_stopped();
    Task<> watch_limits();
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
    std::vector<std::vector<Return>> returns_;  // by home, until the end of the turn
    bool returns_flush_ = false;
    bool draining_ = false;
    Signal ticks_;
    Scope scope_;
    // Last: loans that die with them go to returns_.
    std::map<SiteKey, std::unique_ptr<Site>> sites_;
    std::vector<std::unique_ptr<Site>> retired_;  // of settings that are no more; they end
};

}  // namespace engine
