// What a site does with an open connection: pull the next loans when it can send them, send,
// settle.
#include <algorithm>

#include "engine/delivery/counted.h"
#include "engine/delivery/elapsed.h"
#include "engine/delivery/site.h"
#include "engine/smtp/session.h"
#include "metrics/check.h"

namespace engine {

Task<> Site::run_connection(std::shared_ptr<const Route> route) {
    Opened opened;
    {
        const Counted connecting(connecting_);
        opened = co_await open(std::move(route));
    }
    if (!opened) {
        open_failed_.add();
        not_opened(std::move(opened.error()));
        co_return;
    }
    opened_.add();
    failures_in_a_row_ = 0;
    Connection& connection = **opened;
    const auto listed = open_streams_.insert(open_streams_.end(), connection.stream.get());
    co_await serve(connection);
    open_streams_.erase(listed);
    connection.stream->close();
}

Task<> Site::serve(Connection& connection) {
    Session& session = *connection.session;
    const uint32_t limit = policy_.limits.messages_per_connection;
    bool usable = true;
    while (usable && (limit == 0 || session.transactions() < limit)) {
        if (!co_await work_before(parts_.reactor.now() + parts_.settings->idle)) break;
        co_await wait_for_throttle();
        co_await wait_for_rate();
        std::vector<Loan> loans = pull();
        if (loans.empty()) continue;
        const Counted busy(busy_);
        busy_gauge_.add(1);
        const Counted sending(sending_, loans.size());
        fill();  // there may be more work than this
        const WallTime started = parts_.reactor.wall();
        const Instant start = parts_.reactor.now();
        Mail mail = co_await connection.letters.write(loans, session.capabilities());
        mail.lock_step = lock_step_hosts_.contains(connection.mx);
        Outcome outcome = co_await session.transact(std::move(mail));
        busy_gauge_.add(-1);
        usable = outcome.connection_usable;
        envelope_seconds_.observe(seconds(outcome.envelope));
        if (outcome.content.count() > 0) content_seconds_.observe(seconds(outcome.content));
        settle(std::move(loans), std::move(outcome), connection, started,
               milliseconds_between(start, parts_.reactor.now()));
    }
    if (usable) co_await session.quit();
}

/// Waits for a loan. False: none came in time, or we stop.
Task<bool> Site::work_before(Instant deadline) {
    if (ready_.empty() && !draining_) {
        const Counted idle(idle_);
        idle_gauge_.add(1);
        while (ready_.empty() && !draining_ && parts_.reactor.now() < deadline)
            co_await work_.wait_until(deadline);
        idle_gauge_.add(-1);
    }
    co_return !ready_.empty() && !draining_;
}

/// A connection that waits here also keeps others from being opened.
Task<> Site::wait_for_throttle() {
    if (parts_.reactor.now() >= throttle_.until()) co_return;
    const Counted pacing(pacing_);
    while (!draining_ && parts_.reactor.now() < throttle_.until())
        co_await timer_.wait_until(throttle_.until());
}

Task<> Site::wait_for_rate() {
    if (policy_.limits.rate_per_second <= 0) co_return;
    const auto gap = std::chrono::duration_cast<Instant::duration>(
        std::chrono::duration<double>(1 / policy_.limits.rate_per_second));
    const Instant slot = std::max(parts_.reactor.now(), next_send_);
    next_send_ = slot + gap;
    const Counted pacing(pacing_);
    while (!draining_ && parts_.reactor.now() < slot) co_await timer_.wait_until(slot);
}

std::vector<Loan> Site::pull() {
    std::vector<Loan> loans;
    const WallTime now = parts_.reactor.wall();
    while (auto loan = ready_.pop()) {
        if (now >= loan->terms().delivery.expires) continue;  // goes home, where it expires
        loans.push_back(std::move(*loan));
        break;
    }
    if (loans.empty() || !loans.front().terms().job->content()->same_for_all()) return loans;
    while (loans.size() < recipients_per_transaction) {
        auto next = ready_.pop_same_job(loans.front());
        if (!next) break;
        if (now < next->terms().delivery.expires) loans.push_back(std::move(*next));
    }
    return loans;
}

}  // namespace engine
