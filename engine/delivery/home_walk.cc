// Ending what no attempt will end: deliveries whose time is over, and cancelled ones, wherever they
// wait. What is in memory is looked at there; for the rest a queue's rows are walked on the storage
// worker, so that what is read falls before or after each commit of this home, as with refills.
#include <algorithm>
#include <unordered_set>

#include "engine/delivery/home.h"
#include "engine/reactor/sleep.h"
#include "metrics/catalog.h"
#include "metrics/log.h"

namespace engine {

namespace {

constexpr auto look_every = std::chrono::seconds(1);
constexpr size_t looks_per_round = 10;  // so that each queue is looked at once in ten seconds
// Of one queue: what is cheap may come often, what is long may take a twentieth of the time.
constexpr auto walk_pause_min = std::chrono::seconds(20);
constexpr int walk_pause_factor = 20;
constexpr auto read_retry = std::chrono::seconds(5);

}  // namespace

struct Home::Visit {
    storage::QueueId queue;
    std::optional<storage::DeliveryKey> after;
    size_t limit = 0;
    storage::Result<std::vector<storage::Delivery>> rows;
};

std::optional<Home::Ended> Home::ended(const storage::QueueInfo& queue,
                                       const storage::Delivery& delivery, WallTime now) const {
    if (const Cancellation* by = parts_.orders.cancellations().of(queue, delivery))
        return Ended{.terms = {}, .order = by->id, .reason = by->reason};
    if (now >= delivery.expires) return Ended{};
    return std::nullopt;
}

Decision Home::decision_of(Ended ended, WallTime now) {
    if (ended.order == OrderId{}) return expire(std::move(ended.terms), now);
    ++cancelled_[ended.order];
    return cancel(std::move(ended.terms), ended.reason, now);
}

bool Home::to_be_announced(const storage::AcceptMark& mark) const {
    return mark.boot == parts_.store.boot() && mark.shard < announced_.size() &&
           mark.group > announced_[mark.shard];
}

// ---- what is to be looked at

/// Once a second, by the pump.
void Home::look_after(WallTime now) {
    const Instant steady = parts_.reactor.now();
    if (steady < next_look_) return;
    next_look_ = steady + look_every;
    look_for_cancelled();
    if (!to_clear_.empty() || cleared_.waiters() > 0) go_on_clearing();
    look_for_expired(now);
    for (const std::string_view kind : held_kinds_)
        parts_.metrics.gauge(metrics::catalog::held_deliveries, {kind}).set(0);
    held_kinds_.clear();
    for (const auto& [order, held] : held_) {
        metrics::Gauge& gauge =
            parts_.metrics.gauge(metrics::catalog::held_deliveries, {held.kind});
        for (const auto& [queue, rows] : held.rows) gauge.add(static_cast<double>(rows));
        held_kinds_.push_back(held.kind);
    }
}

/// A slice of the queues, by the buckets of their table: a pass over all of them takes ten turns.
void Home::look_for_expired(WallTime now) {
    const size_t buckets = queues_.bucket_count();
    const size_t slice = buckets / looks_per_round + 1;
    std::vector<Ended> over;
    for (size_t i = 0; i < slice; ++i) {
        if (look_bucket_ >= buckets) look_bucket_ = 0;
        const size_t bucket = look_bucket_++;
        for (auto at = queues_.begin(bucket); at != queues_.end(bucket); ++at) {
            Queue& queue = *at->second;
            if (queue.first_expiry > now || queue.walk) continue;
            if (queue.window.cursor() || queue.window.refilling()) {
                if (parts_.reactor.now() >= queue.walk_not_before) want_walk(queue);
                continue;
            }
            for (Waiting& waiting : queue.window.take_expired(now))
                over.push_back({.terms = terms_of(queue, std::move(waiting), 0)});
            queue.first_expiry = queue.window.first_expiry().value_or(WallTime::max());
            note_held(queue, queue.window.size());
            unhold_if_empty(queue);
            schedule(queue);
        }
    }
    if (!over.empty()) scope_.spawn(end(std::move(over)));
}

// ---- walks

void Home::want_walk(Queue& queue) {
    if (queue.walk || stopping_) return;
    queue.walk = std::make_unique<Walk>();
    walks_.push_back(queue.id);
    if (std::exchange(walking_, true)) return;
    scope_.spawn(walk());
}

Task<> Home::walk() {
    while (!walks_.empty() && !stopping_) {
        std::vector<Visit> visits = next_visits();
        co_await parts_.worker.run([&visits, &store = parts_.store] {
            for (Visit& one : visits) one.rows = store.read_queue(one.queue, one.after, one.limit);
        });
        std::vector<Ended> over;
        bool failed = false;
        for (Visit& one : visits) failed |= !take_visit(one, over);
        if (!over.empty()) co_await end(std::move(over));
        if (failed && !stopping_) co_await sleep_for(parts_.reactor, read_retry);
    }
    walking_ = false;
    walks_.clear();  // left over when stopping
}

std::vector<Home::Visit> Home::next_visits() {
    const size_t count = std::min(walks_.size(), walk_queues);
    std::vector<Visit> visits;
    for (size_t i = 0; i < count; ++i) {
        Queue& queue = *queues_.at(walks_.front());
        walks_.pop_front();
        Walk& walk = *queue.walk;
        if (!walk.after) {
            walk.epoch = orders_epoch_;
            walk.began = parts_.reactor.now();
            walk.whole = queue.place == Queue::Place::held || to_clear_.contains(queue.id);
            queue.first_expiry = WallTime::max();  // of what comes from now on
        }
        visits.push_back({queue.id, walk.after, std::max<size_t>(walk_rows / count, 1), {}});
    }
    return visits;
}

/// False: it could not be read, and is tried again.
bool Home::take_visit(Visit& visit, std::vector<Ended>& over) {
    Queue& queue = *queues_.at(visit.queue);
    Walk& walk = *queue.walk;
    if (!visit.rows) {
        metrics::log::error("queue.read_failed",
                            {{"domain", queue.info->domain}, {"error", visit.rows.error().what}});
        walks_.push_back(queue.id);
        return false;
    }
    const WallTime now = parts_.reactor.wall();
    bool at_end = visit.rows->size() < visit.limit;
    for (storage::Delivery& row : *visit.rows) {
        const storage::DeliveryKey key = storage::key_of(row);
        walk.after = key;
        if (!walk.whole && row.due > now) {
            walk.first_expiry = std::min(walk.first_expiry, row.due);
            at_end = true;
            break;
        }
        auto one = ended(*queue.info, row, now);
        if (lent_.contains(row.id) || to_be_announced(row.mark)) {
            walk.leftovers |= one && one->order != OrderId{};
            continue;
        }
        ++walk.rows;
        if (!one) {
            walk.first_expiry = std::min(walk.first_expiry, row.expires);
            continue;
        }
        --walk.rows;
        // Walked once more: the mark may go when their ends are on disk, and not while they are
        // being written.
        walk.leftovers |= one->order != OrderId{};
        std::optional<Waiting> waiting = queue.window.take(key);
        if (!waiting) waiting = Waiting{std::move(row), known_job(key.id.job), nullptr};
        one->terms = terms_of(queue, std::move(*waiting), 0);
        over.push_back(std::move(*one));
    }
    if (at_end)
        end_walk(queue);
    else
        walks_.push_back(queue.id);
    return true;
}

void Home::end_walk(Queue& queue) {
    const std::unique_ptr<Walk> walk = std::move(queue.walk);
    const Instant now = parts_.reactor.now();
    queue.first_expiry = std::min(queue.first_expiry, walk->first_expiry);
    queue.walk_not_before =
        now + std::max<Instant::duration>(walk_pause_min, (now - walk->began) * walk_pause_factor);
    note_held(queue, walk->rows);
    const auto clearing = to_clear_.find(queue.id);
    if (clearing != to_clear_.end() && walk->whole && !walk->leftovers) {
        if (clearing->second.last <= walk->epoch)
            to_clear_.erase(clearing);
        else
            clearing->second.first = walk->epoch + 1;
    }
    if (to_clear_.empty()) cleared_.notify_all();
    unhold_if_empty(queue);
    schedule(queue);
    forget_if_empty(queue);
}

/// Ends them with an event each. A sender who wants to be told needs the job's row, and its content
/// for what is given back.
Task<> Home::end(std::vector<Ended> over) {
    struct Row {
        storage::JobId id;
        std::optional<storage::Job> job;
        std::optional<std::string> content;
    };
    std::vector<Row> rows;
    std::unordered_set<storage::JobId> seen;
    for (const Ended& one : over)
        if (!one.terms.job && seen.insert(one.terms.delivery.id.job).second)
            rows.push_back({one.terms.delivery.id.job, {}, {}});
    if (!rows.empty()) {
        co_await parts_.worker.run([&rows, &store = parts_.store] {
            for (Row& row : rows) {
                auto status = store.job(row.id);
                if (!status || !*status) continue;
                row.job = std::move((*status)->job);
                if (!row.job->reports) continue;
                if (auto content = store.content(row.id); content) row.content = *content;
            }
        });
    }
    std::unordered_map<storage::JobId, std::shared_ptr<const JobInfo>> jobs;
    for (Row& row : rows) {
        if (!row.job) continue;
        std::shared_ptr<const Content> content;
        if (row.content)
            if (auto decoded = Content::decode(*row.content); decoded)
                content = std::make_shared<const Content>(std::move(*decoded));
        jobs.emplace(row.id, std::make_shared<const JobInfo>(
                                 std::move(*row.job), std::move(content), parts_.content_memory));
    }
    const WallTime now = parts_.reactor.wall();
    std::vector<Decision> decisions;
    decisions.reserve(over.size());
    for (Ended& one : over) {
        if (!one.terms.job)
            if (const auto job = jobs.find(one.terms.delivery.id.job); job != jobs.end())
                one.terms.job = job->second;
        decisions.push_back(decision_of(std::move(one), now));
    }
    co_await record(std::move(decisions));
}

}  // namespace engine
