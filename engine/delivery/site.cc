#include "engine/delivery/site.h"

#include <algorithm>

#include "engine/delivery/counted.h"
#include "engine/delivery/elapsed.h"
#include "engine/delivery/orders.h"
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
        counters.at(i) = &metrics.counter(catalog::transactions, {to_string(static_cast<Depth>(i))});
    return counters;
}

}  // namespace

Site::Site(SiteParts parts, SitePolicy policy, TlsDemand demand, std::shared_ptr<SiteBudget> budget)
    : parts_(std::move(parts)),
      policy_(std::move(policy)),
      budget_(std::move(budget)),
      demand_(std::move(demand)),
      ready_([settings = parts_.settings](const std::string& tenant) {
          return settings->weight_of(tenant);
      }),
      work_(parts_.reactor),
      timer_(parts_.reactor),
      busy_gauge_(parts_.metrics.gauge(catalog::connections, {policy_.provider, "busy"})),
      idle_gauge_(parts_.metrics.gauge(catalog::connections, {policy_.provider, "idle"})),
      opened_(parts_.metrics.counter(catalog::connections_opened, {policy_.provider, "ok"})),
      open_failed_(
          parts_.metrics.counter(catalog::connections_opened, {policy_.provider, "failed"})),
      connect_seconds_(parts_.metrics.histogram(catalog::smtp_stage_duration, {"connect"})),
      greet_seconds_(parts_.metrics.histogram(catalog::smtp_stage_duration, {"ehlo"})),
      envelope_seconds_(parts_.metrics.histogram(catalog::smtp_stage_duration, {"mail"})),
      content_seconds_(parts_.metrics.histogram(catalog::smtp_stage_duration, {"body"})),
      throttled_seconds_(
          parts_.metrics.counter(catalog::throttled_seconds, {policy_.provider, "reply"})),
      window_depth_(parts_.metrics.histogram(catalog::window_depth)),
      transactions_(by_depth(parts_.metrics)) {
    budget_->join(*this);
}

Site::~Site() {
    budget_->leave(*this);
}

void Site::take(std::shared_ptr<const Route> route, std::vector<Loan> loans) {
    if (draining_) return;  // the loans go home as they die
    route_ = std::move(route);
    for (Loan& loan : loans) {
        ready_.push(std::move(loan));
        work_.notify_one();  // one idle connection a loan: waking all of them costs more than
                             // sending
    }
    fill();
}

void Site::fill() {
    // A connection that waits for the rate's next slot shows that more of them would not send more.
    if (draining_ || ready_.empty() || pacing_ > 0) return;
    const Instant now = parts_.reactor.now();
    if (const Instant hold = std::max(hold_until_, budget_->throttle.until()); now < hold) {
        if (std::exchange(fill_waits_, true)) return;
        scope_.spawn(fill_later(hold));
        return;
    }
    const size_t limit = policy_.limits.connections == 0 ? SIZE_MAX : policy_.limits.connections;
    // A host that failed is tried with one connection before it is stormed again.
    const size_t connecting = failures_in_a_row_ > 0 ? 1 : connecting_max;
    while (connecting_ < connecting && connecting_ + idle_ < ready_.size()) {
        if (budget_->live >= limit) return budget_->ask(*this, connections_wanted());
        scope_.spawn(connection(route_));
        // It may have failed already, by an answer of the DNS that is cached: so would the next
        // one, and the loop would never end (seed 19 of tests/sim).
        if (parts_.reactor.now() < hold_until_) return;
    }
}

size_t Site::connections_wanted() const {
    const size_t there = connecting_ + idle_;
    const bool may = !draining_ && !fill_waits_ && pacing_ == 0;
    return may && ready_.size() > there ? ready_.size() - there : 0;
}

Task<> Site::fill_later(Instant at) {
    while (!draining_ && parts_.reactor.now() < at) co_await timer_.wait_until(at);
    fill_waits_ = false;
    fill();
}

Task<> Site::connection(std::shared_ptr<const Route> route) {
    {
        const Counted live(live_);
        const Counted of_all(budget_->live);
        co_await run_connection(std::move(route));
    }
    budget_->freed(*this);
    fill();
}

void Site::settle(std::vector<Loan> loans, Outcome outcome, const Connection& connection) {
    CHECK(outcome.verdicts.size() == loans.size(),
          "a transaction gave not one verdict per recipient");
    if (outcome.in_flight > 0) {
        window_depth_.observe(outcome.in_flight);
        transactions_.at(static_cast<size_t>(outcome.depth))->add();
        envelope_seconds_.observe(seconds(outcome.envelope));
        if (outcome.content.count() > 0) content_seconds_.observe(seconds(outcome.content));
    }
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(outcome.whole);
    // Back in front in their old order.
    for (size_t i = loans.size(); i-- > 0;) {
        Loan& loan = loans[i];
        Verdict& verdict = outcome.verdicts[i];
        // The host has said that it does not have the mail.
        if (!verdict.in_doubt && verdict.kind != Verdict::Kind::delivered) loan.in_doubt().clear();
        // The host lost its way in a pipelined group, or the mail is at fault: the same one goes
        // again one command at a time, and then the host's word counts.
        if (verdict.failure == Failure::dialogue) loan.go_in_lock_step();
        const Course course = heed(verdict, connection);
        if (course == Course::again) {
            if (draining_) continue;  // goes home as it dies
            if (loan.terms().untried < untried_max) {
                loan.count_untried();
                ready_.push_front(std::move(loan));
                work_.notify_one();
                continue;
            }
        }
        loan.settle({.verdict = std::move(verdict),
                     .mx = connection.mx,
                     .ip = connection.ip,
                     .site = policy_.site,
                     .provider = policy_.provider,
                     .tls = connection.tls,
                     .session = connection.tls_session,
                     .started = parts_.reactor.wall() - took,
                     .smtp_ms = static_cast<uint64_t>(took.count()),
                     .host_reports = connection.session->capabilities().dsn});
    }
}

/// What the table says of this verdict; a complaint about our speed slows the site down.
Course Site::heed(const Verdict& verdict, const Connection& connection) {
    const OutcomeRow& row = outcome_row(verdict);
    const Instant now = parts_.reactor.now();
    if (row.course == Course::taken) budget_->throttle.took(now);
    if (row.pace != Pace::slower_if_throttled) return row.course;
    const BounceClass klass = parts_.settings->bounce_rules->classify(verdict, connection.mx);
    if (!slows_site(verdict, klass)) return row.course;
    const auto hold = budget_->throttle.complained(now);
    if (hold.count() > 0) {
        throttled_seconds_.add(
            static_cast<uint64_t>(std::chrono::ceil<std::chrono::seconds>(hold).count()));
        metrics::log::info("site.throttled", {{"site", policy_.site},
                                              {"mx", connection.mx},
                                              {"code", verdict.reply.code},
                                              {"reply", verdict.reply.text},
                                              {"hold_ms", hold.count()}});
    }
    return row.course;
}

bool Site::stopped(const Loan& loan, WallTime now) const {
    return now >= loan.terms().delivery.expires ||
           parts_.orders.stops(loan.terms(), policy_.provider, policy_.site);
}

void Site::send_home_stopped() {
    const WallTime now = parts_.reactor.wall();
    ready_.take_if([&](const Loan& loan) { return stopped(loan, now); });
}

void Site::drain() {
    draining_ = true;
    ready_.take_all();  // they go home as they die
    work_.notify_all();
    timer_.notify_all();
}

void Site::cut() {
    cut_ = true;
    for (Stream* stream : open_streams_) stream->close();
}

Site::Status Site::status() const {
    return {.ready = ready_.size(), .sending = sending_, .busy = busy_, .idle = idle_};
}

}  // namespace engine
