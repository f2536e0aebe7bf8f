// Site: the connections to one set of MX hosts and the loans that wait for them. One shard owns it,
// so its limits are exact without a lock; others may help with it for a while (spread.h). Each
// connection is one coroutine that dials, greets and pulls the next loan when it can send it.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/delivery/claims.h"
#include "engine/delivery/outcome_table.h"
#include "engine/delivery/overview.h"
#include "engine/delivery/ready_queue.h"
#include "engine/delivery/settings_in_force.h"
#include "engine/delivery/site_budget.h"
#include "engine/delivery/site_policy.h"
#include "engine/net/dialer.h"
#include "engine/net/tls.h"
#include "engine/policy/observed_tls.h"
#include "engine/reactor/scope.h"
#include "engine/reactor/signal.h"
#include "metrics/metric.h"

namespace engine {

class ConnectionTap;
class HostMemory;
class Letters;
class Orders;
class Session;
class TlsContext;
class TlsSessions;
class TraceDesk;
class Worker;
struct Mail;
struct Outcome;
struct SmtpTimeouts;
struct TracedConnection;

/// What all connections of a shard need for TLS.
struct TlsParts {
    std::shared_ptr<const TlsContext> context;
    TlsSessions& sessions;
    Worker& worker;  // for the arithmetic of handshakes; keeps no order
};

/// What all sites of a shard count together: found once, not for each of them.
struct StageMetrics {
    explicit StageMetrics(metrics::Registry& metrics);
    metrics::Histogram& connect;
    metrics::Histogram& greet;
    metrics::Histogram& envelope;
    metrics::Histogram& content;
    metrics::Histogram& window_depth;
    std::array<metrics::Counter*, 4> transactions;  // by Depth
};

/// One for all sites of a shard; it outlives them.
struct SiteParts {
    Reactor& reactor;
    Resolver& resolver;
    Returns& returns;
    Letters& letters;
    HostMemory& hosts;
    const Orders& orders;
    Shares& shares;
    const SettingsInForce& settings;
    metrics::Registry& metrics;
    StageMetrics stages;
    TlsParts tls;
    storage::InDoubtJournal& in_doubt;
    TraceDesk& traces;
    std::shared_ptr<const ReadyQueue::Tenancy> tenancy;
};

class Site final : Guest {
  public:
    static constexpr size_t connecting_max =
        16;  // connections of a site that are being opened at a time
    static constexpr size_t addresses_max = 6;  // tried for one connection
    static constexpr uint32_t untried_max =
        3;  // then a delivery is put off instead of tried at once again

    /// Sent over a connection that works before it ends for the sake of mail of another demand that
    /// has none: fewer, and two demands would spend their time on opening connections.
    static constexpr uint32_t mails_before_giving_way = 10;
    static constexpr size_t without_tls_max = 64;  // hosts whose TLS has failed lately

    /// `budget`: shared with the Sites of the same hosts whose mail has another demand or pool.
    Site(const SiteParts& parts, SitePolicy policy, std::shared_ptr<const TlsDemand> demand,
         const Pool& pool, std::shared_ptr<SiteBudget> budget);
    ~Site() override;

    /// `domain`: one of those whose mail it is.
    void take(std::shared_ptr<const Route> route, const std::string& domain,
              std::vector<Loan> loans);

    // When a reload has put other settings in force (site_reload.cc), for each Site in this order.
    /// What its mail would find now: other limits at most, or another site, provider, demand,
    /// log-in or pool, which this Site is not for.
    std::optional<SitePolicy> policy_now() const;
    /// Goes by these limits from now on, over connections that are open, too.
    void use_limits(Limits limits);
    /// What is not begun goes home, to find its way anew.
    void send_home_all();

    /// What waits and must not be begun any more goes home: expired, held, led away, cancelled.
    void send_home_stopped();
    /// Nothing more is begun; what is not begun goes home. Transactions in hand finish.
    void drain();
    /// The end of patience: closes what is still open. What was in hand goes home with what is
    /// known of it.
    void cut();

    bool idle() const { return ready_.empty() && ready_.held() == 0 && scope_.running() == 0; }
    /// No mail waits, and no connection is busy.
    bool at_rest() const { return ready_.empty() && ready_.held() == 0 && idle_ == live_; }
    // Who is awake is looked at each second: mail wakes it.
    bool wakes() { return !std::exchange(awake_, true); }  // true: it was asleep
    bool falls_asleep() { return at_rest() && std::exchange(awake_, false); }
    struct Status {
        uint64_t ready = 0, sending = 0, busy = 0, idle = 0;
    };
    Status status() const;
    SiteView view() const;  // for operators
    const SitePolicy& policy() const { return policy_; }
    const std::string& pool() const { return pool_; }
    bool uses(SourceId source) const;
    /// Of mail that waits here and could go if nothing held it: what does, and until when.
    std::optional<Binding> binding() const;
    const std::shared_ptr<SiteBudget>& budget() const { return budget_; }

    // For the spread over shards (spread.h).
    /// Messages begun since the last call.
    uint64_t take_begun() { return std::exchange(begun_, 0); }
    /// Whether more cores would help: nothing but the number of connections holds it back.
    bool could_use_more_cores() const;
    /// Whether it has a source that is counted on one shard only: a new one, by the day.
    bool stays_on_its_shard() const;
    /// Its paths' limits are shared with other shards from now on, or no more.
    void share_paths();
    void own_paths();
    /// At the owner: what another shard has heard.
    void hear(const PathWord& word);

    // For the budget: who has room to give, and who waits for it.
    size_t connections() const override { return live_; }
    size_t connections_wanted() const;  // that it would open at once if there were room
    void look_again() { work_.notify_one(); }
    /// Opens connections while there is work that no open one is free for, within the limit.
    void fill();

  private:
    /// A path as this Site's mail finds it: others' demands may fare better or worse there.
    struct Way {
        Path* path;
        Limits limits;  // the site's, tightened by the source's
        Claims claims;
        uint32_t connecting = 0;
        uint32_t failures_in_a_row = 0;  // of opening a connection
        Instant hold_until = Instant{};  // no new connection before
        std::string why;                 // of the hold, for people
    };
    /// An open connection: the stream and the session that speaks on it.
    struct Connection {
        Way* way = nullptr;
        bool one_too_many = false;  // the host said so: it ends after what it has in hand
        std::string mx, ip;
        std::unique_ptr<const std::string> tls;  // in words; null: in the clear
        ObservedTls tls_session;
        std::unique_ptr<ConnectionTap> tap;
        std::unique_ptr<Stream> stream;
        std::unique_ptr<Session> session;
    };
    using TlsFailed = std::pair<std::string, Instant>;  // a host, and until when
    class Feed;
    using Opened = std::expected<std::unique_ptr<Connection>, Attempt>;

    // For the shares.
    size_t connections_lacking() const override;
    void room() override { fill(); }
    void look_at_idle() override { work_.notify_all(); }

    bool may_try(const Way& way, Instant now) const;
    bool pauses(const Way& way) const;
    std::optional<Binding> holds(const Way& way, Instant now) const;
    Way* way_for_connection(Instant now);
    void fill_when_possible(Instant now);
    Task<> connection(std::shared_ptr<const Route> route, Way* way);
    Task<std::unique_ptr<Connection>> open_connection(std::shared_ptr<const Route> route, Way* way);
    Task<Opened> open(std::shared_ptr<const Route> route, Way* way);
    Task<std::expected<TlsDemand, Verdict>> demand_at(std::shared_ptr<const Route> route,
                                                      MxHost host);
    Task<Opened> open_at(Endpoint endpoint, MxHost host, TlsDemand demand, Way* way);
    Task<Opened> open_once(Endpoint endpoint, MxHost host, TlsDemand demand, Way* way);
    ObservedTls session_of(const TlsDemand& demand) const;
    std::shared_ptr<const SmtpTimeouts> timeouts_in_force() const;
    TracedConnection described(const Connection& connection) const;
    void count_handshake(const Connection& connection, const std::expected<void, Verdict>& done);
    Task<> serve(Connection& connection);
    Task<bool> work_before(Connection& connection, Instant deadline);
    bool idle_one_gives_way(const Connection& connection);
    enum class InHand : uint8_t { nothing, draft };
    Task<bool> wait_for_message(Way* way, InHand in_hand);
    std::vector<Loan> pull(size_t host_most, size_t most);
    static bool is_surplus(Path& path);
    bool has_pool_as_it_is() const;
    bool stopped(const Loan& loan, WallTime now) const;
    bool complains(const Verdict& verdict, const std::string& mx) const;
    void heed(const std::vector<Verdict>& verdicts, Instant began, Connection& connection);
    void settle(std::vector<Loan> loans, Outcome outcome, Connection& connection);
    void not_opened(Attempt attempt, Way* way);
    void put_off(Attempt attempt);
    void begin_message(Way& way);
    void rest_if_full(Path& path);
    void automate(const Verdict& verdict, const std::string& mx, Path& path);
    static bool is_about_number(const Verdict& complaint, const Path& path);
    void slow_down(Path& path, const PathWord& word);
    void refuse_connection(Path& path, const PathWord& word);
    void not_opened_here(const Attempt& attempt, Way& way, bool refused);
    bool rests(const Path& path) const;
    bool all_rest() const;
    void put_off_while_all_rest();
    Task<> fill_later(Instant at);

    // Mail of tenants with limits of their own (site_tenants.cc).
    void put(Loan loan);
    void put_back(Loan loan);
    void see_tenant(const std::string& tenant);
    void give_back_admissions();
    Task<> admit(std::string tenant);
    std::optional<Binding> holds_tenants() const;

    const SiteParts& parts_;
    SitePolicy policy_;
    std::string pool_;
    std::shared_ptr<SiteBudget> budget_;
    std::vector<Way> ways_;                    // one per source of the pool; never changes its size
    std::shared_ptr<const TlsDemand> demand_;  // of all mail that waits here
    std::vector<TlsFailed> without_tls_;       // for a while
    std::shared_ptr<const Route> route_;       // as the last lending had it
    std::string domain_;                       // likewise
    ReadyQueue ready_;
    std::map<std::string, Signal*, std::less<>> gates_;  // by tenant: its mail is being admitted
    Dials dials_;
    std::vector<Stream*> greeting_, open_streams_;  // before the first mail may go, and then
    uint32_t live_ = 0;  // connections, from the dial to the close; limits are about those of paths
    uint32_t connecting_ = 0, busy_ = 0, idle_ = 0;  // of these
    uint64_t begun_ = 0;                             // messages
    size_t sending_ = 0;                             // deliveries in transactions
    Instant fill_at_ = Instant::max();  // when fill() will be called; max: it waits for nothing
    bool draining_ = false;
    bool awake_ = false;
    Signal work_;
    Signal timer_;
    Scope scope_;
    metrics::Gauge& busy_gauge_;
    metrics::Gauge& idle_gauge_;
    metrics::Counter& opened_;
    metrics::Counter& open_failed_;
};

}  // namespace engine
