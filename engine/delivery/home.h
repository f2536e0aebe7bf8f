// Home: the shard that owns a domain's queues. It keeps their schedule, asks for the route, lends
// what is due to the site's shard within credits, and commits what comes back with its event.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "engine/delivery/in_doubt.h"
#include "engine/delivery/lending_order.h"
#include "engine/delivery/loan.h"
#include "engine/delivery/orders.h"
#include "engine/delivery/outcome_metrics.h"
#include "engine/delivery/outcomes.h"
#include "engine/delivery/overview.h"
#include "engine/delivery/queue_window.h"
#include "engine/delivery/reports.h"
#include "engine/delivery/settings_in_force.h"
#include "engine/delivery/spool.h"
#include "engine/delivery/suppressed.h"
#include "engine/dns/resolver.h"
#include "engine/policy/sts_policies.h"
#include "engine/policy/tls_reports.h"
#include "engine/reactor/scope.h"
#include "engine/reactor/signal.h"
#include "metrics/metric.h"

namespace engine {

/// Where a home's lendings go: to the shard that owns the site.
class Lender {
  public:
    virtual ~Lender() = default;
    virtual void lend(Lending lending) = 0;
};

struct HomeParts {
    Reactor& reactor;
    Worker& worker;  // the shard's storage worker, the one that its spool commits on: refills rely
                     // on its order
    storage::Store& store;
    Spool& spool;
    Reports& reports;
    Resolver& resolver;
    Lender& lender;
    const Orders& orders;
    StsPolicies* sts;  // null: not asked for
    TlsReports& tls_reports;
    ShardId shard;
    ShardId shards;
    const SettingsInForce& settings;
    ContentMemory& content_memory;
    metrics::Registry& metrics;
};

class Home {
  public:
    static constexpr size_t window_max = 131072;  // deliveries of one queue in memory
    static constexpr size_t judged_max = 32768;   // at a time, of a queue without a route
    static constexpr size_t window_min = 16;      // of one that is held
    static constexpr size_t quantum = 8;          // of one queue before the next one's turn
    /// Likewise, of one whose head was on disk: about as many rows as a block holds, since a read
    /// of fewer unpacks the whole block for them. What was read goes out before the next is read.
    static constexpr size_t fetch_rows = 128;
    static constexpr size_t near_turns = 4;      // of other queues: a queue's next one is near
    static constexpr size_t refill_queues = 32;  // in one visit to the disk
    static constexpr size_t refill_rows = 2048;  // of one queue in it: commits wait behind the read
    static constexpr size_t look_queues = 32;    // likewise, of those not looked at since the start
    static constexpr size_t resolving_max = 256;   // domains whose routes are asked for at a time
    static constexpr size_t dispatched_max = 512;  // queues that fall due in one turn
    static constexpr size_t load_queues = 8;       // in one visit to the disk for contents
    static constexpr size_t load_ahead_max =
        256;  // jobs of one queue; fewer when contents are over their budget
    static constexpr size_t empty_max =
        200'000;  // queues; what is above is found at the next start
    static constexpr size_t empty_at_once = 1'000;  // told in one answer
    static constexpr size_t jobs_kept_max = 64;  // that nothing in memory waits for at the moment
    static constexpr size_t loan_bytes = 512;    // of one, with its strings

    static constexpr size_t walk_queues = 32, walk_rows = 2000;  // in one visit to the disk

    explicit Home(HomeParts parts);

    void start();
    /// A queue that was on disk at start-up; its rows are read when there is room.
    void adopt(storage::QueueId id, storage::QueueInfo info);
    /// New deliveries of commit group `group` of shard `from`. Groups come in order.
    void arrive(ShardId from, uint64_t group, std::vector<Arrival> arrivals);
    /// What sites give back.
    void settle(std::vector<Return> returned);

    /// An operator's word on a delivery of this home that is held in doubt.
    Task<HeldSettled> settle_held(Held held, HeldAnswer answer);
    /// Queues that have been empty for a while, each told once: their rows are of no more use.
    std::vector<storage::QueueId> take_empty();
    /// Their rows could not be dropped: told again later.
    void put_back_empty(const std::vector<storage::QueueId>& queues);

    /// The settings have changed: what is not lent looks for its way anew.
    void find_ways_anew();

    // Orders (home_orders.cc).
    /// They have changed: what is no longer held goes on, what is cancelled is ended.
    void obey_orders();
    /// Returns when every row of now that a cancellation of now covers has been ended. False: we
    /// stop.
    Task<bool> rows_cleared();
    /// Those that `reach` may be about.
    std::vector<storage::QueueId> queues_of(const Reach& reach) const;
    using Counts = std::unordered_map<OrderId, uint64_t>;
    Counts held() const;                                    // deliveries, by what holds them
    const Counts& cancelled() const { return cancelled_; }  // so far, by what has ended them

    /// No new loans from now on. drained() resumes when everything lent is back and committed.
    void stop_lending();
    Task<> drained();

    struct Status {
        uint64_t waiting = 0, lent = 0, queues = 0;
        double oldest_seconds = 0;
    };
    Status status() const;
    /// For operators, in slices; what changes meanwhile may be missed.
    Task<QueueOverview> overview(QueueQuestion question);

  private:
    /// A look at the rows of a queue, from its head on (home_walk.cc).
    struct Walk {
        std::optional<storage::DeliveryKey> after;  // where it stands
        uint64_t epoch = 0;                         // of the orders when it began
        Instant began{};
        uint64_t rows = 0;  // that stay
        WallTime first_expiry = WallTime::max();
        bool whole = false;  // to the end of the queue; else only what is due, as nothing else can
                             // have expired
        bool leftovers = false;  // cancelled ones, whose ends are still to come or to be committed
    };
    /// A delivery to be ended, and why.
    struct Ended {
        LoanTerms terms;
        OrderId order{};  // the cancellation; none: its time is over
        std::string reason{};
    };
    struct Link;
    struct Queue {
        explicit Queue(InWindows& all) : window(all) {}
        storage::QueueId id;
        std::shared_ptr<const storage::QueueInfo> info;
        QueueWindow window;
        size_t lent = 0;
        size_t turn_left = 0;  // of the rows that were read for its turn: it goes on with them
        /// unlooked: on disk since the start, and nothing is known of it. ready: waits for its
        /// route or its turn. fetching: its turn has come, and its head is being read. held: by an
        /// order.
        enum class Place : uint8_t { unlooked, idle, scheduled, ready, fetching, held };
        Place place = Place::idle;
        bool refill_wanted = false;
        bool load_wanted = false;
        WallTime scheduled_for{};
        Link* fetched_for = nullptr;
        OrderId via{};           // the suspension that leads its mail another way
        uint64_t way_epoch = 0;  // of the settings that its way was found by
        // Nothing of it, lent ones apart, expires before this.
        WallTime first_expiry = WallTime::max();
        Instant walk_not_before = Instant::min();
        std::unique_ptr<Walk> walk;  // one is under way or wanted
    };
    /// Mail goes together when it goes to one site and demands the same TLS of it.
    struct LinkKey {
        std::string site;
        TlsDemand tls;
        auto operator<=>(const LinkKey&) const = default;
    };
    /// The credits of this home with one site, for mail of one demand.
    struct Link {
        size_t credit = 0;  // at most
        uint64_t id = 0;
        std::string site, domain, provider;
        std::shared_ptr<const TlsDemand> tls;
        std::shared_ptr<const Route> route;
        LendingOrder<Queue*> order;  // of those with something due; their heads may be on disk
        // Whose turn it is, and whose heads are on disk: to be read, being read, read.
        // Most links have none at most times; a deque would keep 576 octets all the same.
        std::list<Queue*> unread;
        size_t fetching = 0;
        std::list<Queue*> fetched;
        bool lendable = false;  // stands in lendable_
    };
    struct Domain {
        std::shared_ptr<const Route> route;
        Instant route_until = Instant::min();  // asked for again after it, and the policy with it
        StsAnswer sts;
        std::vector<uint64_t> counted;  // sessions, the latest; a ring of counted_max
        uint8_t next_counted = 0;
        bool resolving = false;               // or in line for it
        Instant hold_until = Instant::min();  // after a look-up that failed for now
        std::vector<Queue*> waiting;
    };

    Queue& queue(storage::QueueId id, const std::shared_ptr<const storage::QueueInfo>& info);
    void place(Queue& queue, Waiting waiting);
    bool far(WallTime due) const;
    size_t room(WallTime due) const;
    void schedule(Queue& queue);
    void unschedule(Queue& queue);
    bool is_due(const Queue& queue, WallTime now) const;
    void want_refill(Queue& queue);
    void forget_if_empty(Queue& queue);
    size_t windows_bytes_max() const;

    void fix_routes();
    Task<> pump();
    bool dispatch_due(WallTime now);
    void make_ready(Queue& queue);
    void resolve_next();
    Task<> resolve(std::string domain);
    Task<> ask_policy(std::string name, StsAnswer& answer);
    void no_route(std::vector<Queue*> waiting, Domain& domain, const NoRoute& why);
    Link& link_for(const std::string& name, const Domain& domain);
    using Where = LendingOrder<Queue*>::Where;
    void have_turn(Link& link, Queue& queue, Where where = Where::back);
    size_t credit_of(const Link& link) const;
    size_t loan_bytes_max() const;
    void offer(Link& link);
    using Turn = LendingOrder<Queue*>::Turn;
    std::optional<Turn> next_turn(Link& link);
    void fetch_more(Link& link);
    void lend(Link& link, WallTime now);
    static bool may_be_suppressed(const LoanTerms& terms, storage::JobId upto);
    storage::Result<std::vector<Listed>> look_up_all(const std::vector<LoanTerms>& unsure) const;
    Task<> lend_checked(Lending lending, std::vector<LoanTerms> unsure);
    LoanTerms terms_of(Queue& queue, Waiting waiting, uint64_t link);

    void count_session(const std::string& name, const Attempt& attempt);
    void record_later(std::vector<Decision> decisions);
    Task<> record(std::vector<Decision> decisions);
    void recorded(Decision& decision, WallTime now);
    void release(const LoanTerms& terms);

    void look_at_all();
    void fetch(Queue& queue);
    void go_on_fetching(Queue& queue);
    void fetched(Queue& queue);
    Task<> refill();
    struct Refill;
    std::vector<Refill> next_refills();
    void take_refill(Refill& refill);
    void want_load(Queue& queue);
    struct Load;
    Task<> load();
    Task<QueueWindow::Jobs> read_jobs(std::vector<Load> loads);
    size_t load_ahead() const;
    bool contents_over_budget() const;
    std::shared_ptr<const JobInfo> job_info(Load& load);
    void keep_job(const std::shared_ptr<const JobInfo>& job);
    std::shared_ptr<const JobInfo> known_job(storage::JobId id);
    void remember_job(const std::shared_ptr<const JobInfo>& job);
    Task<> sweep();

    // home_orders.cc
    enum class Obeyed : uint8_t { nothing_ordered, elsewhere };
    Obeyed obey(Queue& queue);
    Obeyed obey(Queue& queue, const Link& link);
    void hold(Queue& queue, const Suspension& order);
    void lead(Queue& queue, const Suspension& order);
    void unhold_if_empty(Queue& queue);
    void note_held(const Queue& queue, uint64_t rows);
    uint64_t noted_held(const Queue& queue) const;
    bool is_on_way(const Reach& reach, const std::string& domain) const;
    void must_be_cleared(Queue& queue, uint64_t since);
    void look_for_cancelled();
    void go_on_clearing();
    bool cleared(uint64_t epoch) const;

    // home_walk.cc
    struct Visit;
    void look_after(WallTime now);
    void look_for_expired(WallTime now);
    std::optional<Ended> ended(const storage::QueueInfo& queue, const storage::Delivery& delivery,
                               WallTime now) const;
    bool to_be_announced(const storage::AcceptMark& mark) const;
    void want_walk(Queue& queue);
    Task<> walk();
    std::vector<Visit> next_visits();
    bool take_visit(Visit& visit, std::vector<Ended>& ended);
    void end_walk(Queue& queue);
    Task<> end(std::vector<Ended> ended);
    Decision decision_of(Ended ended, WallTime now);

    HomeParts parts_;
    std::unordered_map<std::string, std::shared_ptr<const Route>>
        fixed_routes_;  // by domain, or "*"; null: by DNS, although "*" has one
    std::unordered_map<storage::QueueId, std::unique_ptr<Queue>> queues_;
    std::set<std::pair<WallTime, storage::QueueId>> schedule_;
    std::unordered_map<std::string, Domain> domains_;
    std::map<LinkKey, std::unique_ptr<Link>> links_;
    std::unordered_map<uint64_t, Link*> links_by_id_;
    uint64_t last_link_ = 0;
    std::shared_ptr<const TlsDemand> last_demand_;  // of the link that was made last
    std::deque<Link*> lendable_;
    std::unordered_set<storage::DeliveryId>
        lent_;                         // lent or being committed: a refill leaves these rows alone
    size_t lent_bytes_ = 0;            // of lent_: deliveries, not their contents
    std::vector<uint64_t> announced_;  // per shard: the last group that it told us of
    std::unordered_map<storage::JobId, std::weak_ptr<const JobInfo>> jobs_;
    size_t jobs_sweep_at_ = 1024;
    std::unordered_map<storage::QueueId, Instant> empty_;  // queues, since when
    std::vector<storage::QueueId> unlooked_;
    std::deque<storage::QueueId> refills_;
    InWindows waiting_;
    std::deque<std::shared_ptr<const JobInfo>> kept_jobs_;
    std::deque<std::string> unresolved_;  // domains whose routes are still to be asked for
    size_t resolving_ = 0;
    bool resolving_next_ = false;
    bool stopping_ = false;
    bool storage_failed_ =
        false;  // outcomes cannot be recorded: lend nothing that could not be marked done
    bool refilling_ = false;
    std::deque<storage::QueueId> loads_;
    bool loading_ = false;
    struct HeldBack {
        std::string_view kind;  // of the order's reach: a metric's label
        std::unordered_map<storage::QueueId, uint64_t> rows;
    };
    std::unordered_map<OrderId, HeldBack> held_;
    std::vector<std::string_view> held_kinds_;  // that have a gauge
    struct Clearing {
        uint64_t first = 0, last = 0;  // epochs whose orders it may hold rows of
    };
    std::unordered_map<storage::QueueId, Clearing> to_clear_;
    uint64_t way_epoch_ = 1;                        // of the settings
    uint64_t orders_epoch_ = 1, looked_epoch_ = 0;  // looked: for queues with cancelled rows
    Counts cancelled_;
    std::deque<storage::QueueId> walks_;
    bool walking_ = false;
    Instant next_look_ = Instant::min(), next_look_for_cancelled_ = Instant::min();
    size_t look_bucket_ = 0;
    Signal cleared_;
    Signal changed_;
    Signal drained_;
    Signal sweep_due_;
    OutcomeMetrics outcomes_;
    Scope scope_;
};

}  // namespace engine
