#include "engine/delivery/site.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/delivery/connection_tap.h"
#include "engine/delivery/counted.h"
#include "engine/delivery/elapsed.h"
#include "engine/delivery/orders.h"
#include "engine/delivery/shares.h"
#include "engine/smtp/session.h"
#include "metrics/catalog.h"
#include "metrics/check.h"
#include "metrics/log.h"

namespace engine {

namespace catalog = metrics::catalog;

namespace {

std::array<metrics::Counter*, 4> by_depth(metrics::Registry& metrics) {
    std::array<metrics::Counter*, 4> counters{};
    for (size_t i = 0; i < counters.size(); ++i)
        counters.at(i) =
            &metrics.counter(catalog::transactions, {to_string(static_cast<Depth>(i))});
    return counters;
}

}  // namespace

StageMetrics::StageMetrics(metrics::Registry& metrics)
    : connect(metrics.histogram(catalog::smtp_stage_duration, {"connect"})),
      greet(metrics.histogram(catalog::smtp_stage_duration, {"ehlo"})),
      envelope(metrics.histogram(catalog::smtp_stage_duration, {"mail"})),
      content(metrics.histogram(catalog::smtp_stage_duration, {"body"})),
      window_depth(metrics.histogram(catalog::window_depth)),
      transactions(by_depth(metrics)) {}

Site::Site(const SiteParts& parts, SitePolicy policy, std::shared_ptr<const TlsDemand> demand,
           const Pool& pool, std::shared_ptr<SiteBudget> budget)
    : parts_(parts),
      policy_(std::move(policy)),
      pool_(pool.name),
      budget_(std::move(budget)),
      demand_(std::move(demand)),
      ready_(parts_.tenancy),
      work_(parts_.reactor),
      timer_(parts_.reactor),
      busy_gauge_(parts_.metrics.gauge(catalog::connections, {policy_.provider, "busy"})),
      idle_gauge_(parts_.metrics.gauge(catalog::connections, {policy_.provider, "idle"})),
      opened_(parts_.metrics.counter(catalog::connections_opened, {policy_.provider, "ok"})),
      open_failed_(
          parts_.metrics.counter(catalog::connections_opened, {policy_.provider, "failed"})) {
    for (const SourceId source : pool.sources) {
        Path& path = budget_->path(source, parts_.reactor.now());
        ways_.push_back(
            {&path, policy_.limits,
             Claims(parts_.shares, budget_->site(), policy_.provider, path.from->name, pool_)});
        path.from->limits.tighten(ways_.back().limits);
        rest_if_full(*ways_.back().path);
    }
    budget_->join(*this);
}

Site::~Site() {
    for (Way& way : ways_) way.claims.leave(*this);
    budget_->leave(*this);
}

void Site::take(std::shared_ptr<const Route> route, const std::string& domain,
                std::vector<Loan> loans) {
    if (draining_) return;  // the loans go home as they die
    route_ = std::move(route);
    domain_ = domain;
    for (Loan& loan : loans) {
        put(std::move(loan));
        work_.notify_one();  // one idle connection a loan: waking all of them costs more than
                             // sending
    }
    fill();
}

bool Site::uses(SourceId source) const {
    return std::ranges::any_of(ways_, [&](const Way& way) { return way.path->source == source; });
}

/// Whether nothing but the number of connections stands in the way of another one.
bool Site::may_try(const Way& way, Instant now) const {
    const Path& path = *way.path;
    // A host that failed is tried with one connection before it is stormed again. And a connection
    // that waits to begin a message shows that more of them would not send more.
    return now >= way.hold_until && !pauses(way) &&
           (way.failures_in_a_row == 0 || way.connecting == 0) && path.line.empty() &&
           now >= path.tempo.hold_until() && now >= path.next_connection(way.limits);
}

/// The source that has fewest connections for its weight; of equal ones the one that has sent
/// least, so that weights hold for a trickle, too.
Site::Way* Site::way_for_connection(Instant now) {
    Way* best = nullptr;
    const auto load = [](const Way& way) {
        const double connections = static_cast<double>(way.path->live + 1);
        return std::pair(connections / way.path->from->weight, way.path->served);
    };
    for (Way& way : ways_) {
        if (!may_try(way, now)) continue;
        if (way.path->live >= way.path->connections_max(way.limits, now)) continue;
        if (!way.claims.may_connect(*this, now)) continue;
        if (!best || load(way) < load(*best)) best = &way;
    }
    return best;
}

void Site::fill() {
    if (draining_ || ready_.empty()) return;
    const Instant now = parts_.reactor.now();
    if (live_ == 0 && all_rest()) return put_off_while_all_rest();
    while (connecting_ < connecting_max && connecting_ + idle_ < ready_.size()) {
        // A way that has failed already, by an answer of the DNS that is cached, is held; or the
        // loop would never end (seed 19 of tests/sim).
        Way* way = way_for_connection(now);
        if (!way) return fill_when_possible(now);
        scope_.spawn(connection(route_, way));
    }
}

/// No way is free: others may have connections to spare, or time must pass.
void Site::fill_when_possible(Instant now) {
    if (const size_t wanted = connections_wanted(); wanted > 0) budget_->ask(*this, wanted);
    Instant at = Instant::max();
    for (Way& way : ways_) {
        Instant next =
            std::max({way.hold_until, way.path->rest_until, way.path->tempo.hold_until(),
                      way.path->next_connection(way.limits), way.claims.full_until(now)});
        if (may_try(way, now)) {
            const size_t most = way.path->connections_max(way.limits, now);
            if (way.path->live >= most) continue;
            way.claims.wait(*this, now);
            next = way.claims.next_connection(now);
        }
        if (next > now) at = std::min(at, next);  // else a connection that ends will call
    }
    if (at >= fill_at_) return;
    fill_at_ = at;
    scope_.spawn(fill_later(at));
}

size_t Site::connections_wanted() const {
    const size_t there = connecting_ + idle_;
    if (draining_ || ready_.size() <= there) return 0;
    const Instant now = parts_.reactor.now();
    const bool may = std::ranges::any_of(ways_, [&](const Way& way) { return may_try(way, now); });
    return may ? ready_.size() - there : 0;
}

/// Of its shares: what its paths have no room for, nobody shall keep for it.
size_t Site::connections_lacking() const {
    const size_t there = connecting_ + idle_;
    if (draining_ || ready_.size() <= there || connecting_ >= connecting_max) return 0;
    const Instant now = parts_.reactor.now();
    size_t room = 0;
    for (const Way& way : ways_) {
        const size_t most = way.path->connections_max(way.limits, now);
        if (may_try(way, now) && way.path->live < most) room += std::min(most, size_t{1} << 20);
    }
    return std::min({ready_.size() - there, room, connecting_max - connecting_});
}

Task<> Site::fill_later(Instant at) {
    while (!draining_ && parts_.reactor.now() < at) co_await timer_.wait_until(at);
    if (fill_at_ == at) fill_at_ = Instant::max();
    fill();
}

/// Its frame lives as long as the connection: what the opening needs (1.2 KiB) is in another one.
Task<> Site::connection(std::shared_ptr<const Route> route, Way* way) {
    {
        const Counted live(live_);
        const Counted of_path(way->path->live);
        way->path->last_connection = parts_.reactor.now();
        way->claims.connect(parts_.reactor.now());
        const std::unique_ptr<Connection> opened = co_await open_connection(std::move(route), way);
        if (opened) co_await serve(*opened);
    }
    way->claims.disconnected();
    budget_->freed(*this);
    fill();
}

void Site::settle(std::vector<Loan> loans, Outcome outcome, Connection& connection) {
    CHECK(outcome.verdicts.size() == loans.size(),
          "a transaction gave not one verdict per recipient");
    if (outcome.in_flight > 0) {
        const StageMetrics& stages = parts_.stages;
        stages.window_depth.observe(outcome.in_flight);
        stages.transactions.at(static_cast<size_t>(outcome.depth))->add();
        stages.envelope.observe(seconds(outcome.envelope));
        if (outcome.content.count() > 0) stages.content.observe(seconds(outcome.content));
    }
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(outcome.whole);
    heed(outcome.verdicts, parts_.reactor.now() - outcome.whole, connection);
    // Back in front in their old order.
    for (size_t i = loans.size(); i-- > 0;) {
        Loan& loan = loans[i];
        Verdict& verdict = outcome.verdicts[i];
        // The host has said that it does not have the mail.
        if (!verdict.in_doubt && verdict.kind != Verdict::Kind::delivered) loan.in_doubt().clear();
        // The host lost its way in a pipelined group, or the mail is at fault: the same one goes
        // again one command at a time, and then the host's word counts.
        if (verdict.failure == Failure::dialogue) loan.go_in_lock_step();
        automate(verdict, connection.mx, *connection.way->path);
        if (outcome_row(verdict).course == Course::again) {
            if (draining_) continue;  // goes home as it dies
            if (loan.terms().untried < untried_max) {
                loan.count_untried();
                put_back(std::move(loan));
                work_.notify_one();
                continue;
            }
        }
        loan.settle({.verdict = std::move(verdict),
                     .mx = connection.mx,
                     .ip = connection.ip,
                     .site = policy_.site,
                     .provider = policy_.provider,
                     .source = connection.way->path->from->name,
                     .tls = connection.tls ? *connection.tls : std::string(),
                     .session = connection.tls_session,
                     .started = parts_.reactor.wall() - took,
                     .smtp_ms = static_cast<uint64_t>(took.count()),
                     .host_reports = connection.session->capabilities().dsn});
    }
}

/// Whether a host says that we are too fast.
bool Site::complains(const Verdict& verdict, const std::string& mx) const {
    if (outcome_row(verdict).pace != Pace::slower_if_throttled) return false;
    return slows_site(verdict, parts_.settings->bounce_rules->classify(verdict, mx));
}

/// What a transaction that began then says of our speed.
void Site::heed(const std::vector<Verdict>& verdicts, Instant began, Connection& connection) {
    Path& path = *connection.way->path;
    const Instant now = parts_.reactor.now();
    const auto taken = [](const Verdict& one) { return one.kind == Verdict::Kind::delivered; };
    if (std::ranges::any_of(verdicts, taken)) {
        path.tempo.taken(now);
        ++path.taken_untold;
    }
    const auto complaint = std::ranges::find_if(
        verdicts, [&](const Verdict& one) { return complains(one, connection.mx); });
    if (complaint == verdicts.end()) return;
    PathWord word{
        .of = PathWord::Of::complaint, .began = began, .verdict = *complaint, .mx = connection.mx};
    connection.one_too_many |= is_about_number(*complaint, path);
    slow_down(path, word);
    budget_->tell(path, std::move(word));
}

/// The path's own limits, and the totals that it counts for.
std::optional<Binding> Site::holds(const Way& way, Instant now) const {
    const Path& path = *way.path;
    const Limits& limits = way.limits;
    if (path.next_message(limits) <= now && !path.rests(now)) {
        // Whoever is first in the path's line stands in that of a total.
        if (auto held = way.claims.holds_messages(now)) return held;
    }
    if (auto held = path.holds_messages(limits, now)) return held;
    if (auto held = path.holds_connections(limits, now)) return held;
    return way.claims.holds_connections(*this, now);
}

std::optional<Binding> Site::binding() const {
    if (draining_) return std::nullopt;
    if (ready_.empty() && ready_.held() > 0) return holds_tenants();
    if (ready_.size() <= idle_) return std::nullopt;
    const Instant now = parts_.reactor.now();
    std::optional<Binding> first;
    for (const Way& way : ways_) {
        std::optional<Binding> held;
        if (parts_.orders.suspensions().source_held(way.path->from->name))
            held = {"suspended", Instant::max(), {}, "the source is suspended"};
        else if (now < way.hold_until && !rests(*way.path))
            held = {"unreachable", way.hold_until, {}, way.why};
        else
            held = holds(way, now);
        if (!held) return std::nullopt;  // there is a way
        if (!first || held->until < first->until) first = std::move(held);
    }
    return first;
}

bool Site::stopped(const Loan& loan, WallTime now) const {
    return now >= loan.terms().delivery.expires ||
           parts_.orders.stops(loan.terms(), policy_.provider, policy_.site);
}

void Site::send_home_stopped() {
    const WallTime now = parts_.reactor.wall();
    ready_.take_if([&](const Loan& loan) { return stopped(loan, now); });
    give_back_admissions();
    if (at_rest()) ready_.forget_turns();
}

void Site::drain() {
    draining_ = true;
    ready_.take_all();  // they go home as they die
    give_back_admissions();
    work_.notify_all();
    timer_.notify_all();
    for (const Way& way : ways_)
        for (Signal* waiter : way.path->line) waiter->notify_all();
    for (const auto& [tenant, gate] : gates_) gate->notify_all();
    // No mail is on these: a host that takes its time with the greeting would hold up the stop.
    dials_.give_up(parts_.reactor);
    for (Stream* stream : greeting_) stream->close();
}

void Site::cut() {
    for (Stream* stream : open_streams_) stream->close();
}

Site::Status Site::status() const {
    return {
        .ready = ready_.size() + ready_.held(), .sending = sending_, .busy = busy_, .idle = idle_};
}

}  // namespace engine
