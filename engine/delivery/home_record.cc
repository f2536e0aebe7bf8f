// What comes back from the sites, and how it becomes durable.
#include <algorithm>

#include "engine/delivery/home.h"
#include "engine/reactor/sleep.h"
#include "metrics/catalog.h"
#include "metrics/check.h"
#include "metrics/log.h"

namespace engine {

namespace {
constexpr auto storage_retry = std::chrono::seconds(1);
constexpr size_t counted_max = 8;  // sessions of a domain that are known to be counted
}  // namespace

void Home::settle(std::vector<Return> returned) {
    const WallTime now = parts_.reactor.wall();
    std::vector<Decision> decisions;
    decisions.reserve(returned.size());
    for (Return& one : returned) {
        if (one.attempt) {
            count_session(one.terms.queue->domain, *one.attempt);
            decisions.push_back(decide(std::move(one.terms), *std::move(one.attempt),
                                       *parts_.settings, now, parts_.reactor.random()));
        } else if (auto over = ended(*one.terms.queue, one.terms.delivery, now)) {
            over->terms = std::move(one.terms);
            decisions.push_back(decision_of(std::move(*over), now));
        } else {
            // Untried: its row is where it was, so nothing is written and it keeps its place.
            one.terms.in_doubt.clear();
            Queue& owner = queue(one.terms.delivery.queue, one.terms.queue);
            release(one.terms);
            place(owner, {std::move(one.terms.delivery), std::move(one.terms.job),
                          std::move(one.terms.last)});
            forget_if_empty(owner);
        }
    }
    record_later(std::move(decisions));
    changed_.notify_all();
    if (lent_.empty()) drained_.notify_all();  // the last to come home may have been untried
}

/// For TLS reports: each session once for each domain. Routes that an operator has fixed are nobody
/// else's business, and a domain that was forgotten meanwhile is left out rather than guessed at.
void Home::count_session(const std::string& name, const Attempt& attempt) {
    const uint64_t session = attempt.session.number;
    const auto found = domains_.find(name);
    if (session == 0 || found == domains_.end()) return;
    Domain& domain = found->second;
    if (!domain.route || domain.route->expires == Instant::max()) return;
    if (std::ranges::find(domain.counted, session) != domain.counted.end()) return;
    if (domain.counted.size() < counted_max)
        domain.counted.push_back(session);
    else
        domain.counted[domain.next_counted++ % counted_max] = session;
    parts_.tls_reports.count(name, finding_of(attempt.session, domain.sts, attempt.mx), attempt.mx,
                             attempt.ip);
}

void Home::record_later(std::vector<Decision> decisions) {
    if (!decisions.empty()) scope_.spawn(record(std::move(decisions)));
}

Task<> Home::record(std::vector<Decision> decisions) {
    for (;;) {
        // A batch is built anew for each try: a queue's row may have gone meanwhile. It fails only
        // when the disk does.
        storage::Batch batch;
        std::vector<Spool::Origin> origins;
        parts_.reports.add(decisions, batch, origins);
        give(decisions, batch);
        const auto committed = co_await parts_.spool.record(&batch, std::move(origins));
        take_back(decisions, batch);
        if (committed) break;
        if (!storage_failed_)
            metrics::log::error(
                "delivery.record_failed",
                {{"error", committed.error().what},
                 {"deliveries", decisions.size()},
                 {"hint", "nothing more is sent until the store takes outcomes again"}});
        storage_failed_ = true;
        if (stopping_) {
            // The rows are as they were: they will be sent again after the restart. Nobody waits
            // for these any more, also when the store takes the next outcomes.
            for (const Decision& decision : decisions) lent_.erase(decision.terms.delivery.id);
            drained_.notify_all();
            co_return;
        }
        co_await sleep_for(parts_.reactor, storage_retry);
    }
    storage_failed_ = false;
    const WallTime now = parts_.reactor.wall();
    for (Decision& decision : decisions) recorded(decision, now);
    if (lent_.empty()) drained_.notify_all();
    changed_.notify_all();
}

void Home::recorded(Decision& decision, WallTime now) {
    LoanTerms& terms = decision.terms;
    terms.in_doubt.clear();
    outcomes_.count(decision, now);
    Queue& owner = queue(terms.delivery.queue, terms.queue);
    release(terms);
    if (decision.next)
        place(owner, {std::move(*decision.next), std::move(terms.job), last_word_of(decision)});
    forget_if_empty(owner);
}

void Home::release(const LoanTerms& terms) {
    const size_t erased = lent_.erase(terms.delivery.id);
    CHECK(erased == 1, "a delivery came home twice");
    lent_bytes_ -= terms.bytes;
    const auto owner = queues_.find(terms.delivery.queue);
    CHECK(owner != queues_.end() && owner->second->lent > 0, "a delivery came home to no queue");
    --owner->second->lent;
    if (const auto link = links_by_id_.find(terms.link); link != links_by_id_.end()) {
        const storage::QueueInfo& info = *owner->second->info;
        const bool more = link->second->order.returned(info.klass, info.tenant);
        if (more || !link->second->unread.empty() || !link->second->fetched.empty())
            offer(*link->second);
    }
}

}  // namespace engine
