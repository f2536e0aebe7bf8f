// The schedule, and what a home knows of its queues. The ways that mail goes are in home_routes.cc,
// lending in home_lend.cc, what comes back in home_record.cc, what is read from disk in
// home_refill.cc.
#include "engine/delivery/home.h"

#include <algorithm>

#include "engine/reactor/yield.h"
#include "metrics/check.h"

namespace engine {

namespace {

constexpr auto soon = std::chrono::minutes(1);  // what is due within it may be in memory as it is
constexpr auto clock_check = std::chrono::seconds(1);  // the wall clock may jump under a sleep
constexpr auto adopted_look_after = std::chrono::seconds(60);
constexpr uint64_t adopted_look_over = 540;          // seconds
constexpr auto empty_for = std::chrono::minutes(1);  // then a queue's row goes
constexpr auto sweep_every = std::chrono::seconds(30);

}  // namespace

Home::Home(HomeParts parts)
    : parts_(std::move(parts)),
      announced_(parts_.shards, 0),
      cleared_(parts_.reactor),
      changed_(parts_.reactor),
      drained_(parts_.reactor),
      sweep_due_(parts_.reactor),
      outcomes_(parts_.metrics) {
    fix_routes();
}

void Home::start() {
    look_at_all();
    scope_.spawn(pump());
    scope_.spawn(sweep());
}

Home::Queue& Home::queue(storage::QueueId id,
                         const std::shared_ptr<const storage::QueueInfo>& info) {
    std::unique_ptr<Queue>& slot = queues_[id];
    if (!slot) {
        slot = std::make_unique<Queue>(waiting_);
        slot->id = id;
        slot->info = info;
        empty_.erase(id);
    }
    return *slot;
}

void Home::adopt(storage::QueueId id, storage::QueueInfo info) {
    Queue& adopted = queue(id, std::make_shared<const storage::QueueInfo>(std::move(info)));
    adopted.window = QueueWindow::from_disk(id, waiting_);
    adopted.place = Queue::Place::unlooked;
    unlooked_.push_back(id);
    // What is on disk is not known. Its rows are looked at within some minutes, all queues not at
    // once; what is read before is judged as it is read.
    adopted.first_expiry = parts_.reactor.wall() + adopted_look_after +
                           std::chrono::seconds(id.low % adopted_look_over);
}

void Home::arrive(ShardId from, uint64_t group, std::vector<Arrival> arrivals) {
    CHECK(group > announced_[from], "commit groups are announced out of order");
    announced_[from] = group;
    for (Arrival& arrival : arrivals) {
        Queue& target = queue(arrival.delivery.queue, arrival.queue);
        remember_job(arrival.job);
        if (parts_.orders.cancellations().of(*arrival.queue, arrival.delivery))
            must_be_cleared(target, orders_epoch_);
        place(target, {std::move(arrival.delivery), std::move(arrival.job), nullptr});
    }
    changed_.notify_all();
}

/// Of what waits in the windows of this home. Contents are counted apart.
size_t Home::windows_bytes_max() const {
    return parts_.settings->memory_bytes / 4 / parts_.shards;
}

/// What is due later than soon needs no content in memory, and may wait on disk.
bool Home::far(WallTime due) const {
    return due > parts_.reactor.wall() + soon;
}

/// How many deliveries of a queue may be in memory, for one that is due then: most of what is free,
/// and not all, so that the next queue finds some. What is due later has half of the memory.
size_t Home::room(WallTime due) const {
    const bool later = far(due);
    if (!later && contents_over_budget()) return 0;
    const size_t most = later ? windows_bytes_max() / 2 : windows_bytes_max();
    if (waiting_.bytes >= most) return 0;
    const size_t of_one =
        waiting_.count > 0 ? waiting_.bytes / waiting_.count : QueueWindow::bytes_of({});
    return std::clamp((most - waiting_.bytes) / 4 * 3 / of_one, quantum, window_max);
}

bool Home::contents_over_budget() const {
    return parts_.content_memory.bytes.load(std::memory_order_relaxed) >
           parts_.settings->memory_bytes / 2;
}

void Home::place(Queue& target, Waiting waiting) {
    const WallTime due = waiting.delivery.due;
    const bool held = target.place == Queue::Place::held;
    target.first_expiry = std::min(target.first_expiry, waiting.delivery.expires);
    if (held) note_held(target, noted_held(target) + 1);
    if (held || far(due)) waiting.job.reset();
    target.window.place(std::move(waiting), held ? window_min : room(due));
    schedule(target);
}

void Home::schedule(Queue& target) {
    if (target.place != Queue::Place::idle && target.place != Queue::Place::scheduled) return;
    const auto due = target.window.next_due();
    if (!due) {
        unschedule(target);
        return;
    }
    if (target.place == Queue::Place::scheduled) {
        if (target.scheduled_for <= *due) return;
        unschedule(target);
    }
    target.scheduled_for = *due;
    target.place = Queue::Place::scheduled;
    const auto [at, inserted] = schedule_.emplace(*due, target.id);
    if (at == schedule_.begin()) changed_.notify_all();
}

bool Home::is_due(const Queue& target, WallTime now) const {
    const auto due = target.window.next_due();
    return due && *due <= now;
}

void Home::unschedule(Queue& target) {
    if (target.place != Queue::Place::scheduled) return;
    schedule_.erase({target.scheduled_for, target.id});
    target.place = Queue::Place::idle;
}

void Home::forget_if_empty(Queue& target) {
    if (target.place != Queue::Place::idle || target.lent > 0 || target.refill_wanted ||
        target.load_wanted || target.walk || !target.window.empty())
        return;
    if (empty_.size() < empty_max) empty_.emplace(target.id, parts_.reactor.now());
    queues_.erase(target.id);
}

std::vector<storage::QueueId> Home::take_empty() {
    std::vector<storage::QueueId> taken;
    const Instant long_ago = parts_.reactor.now() - empty_for;
    for (auto at = empty_.begin(); at != empty_.end() && taken.size() < empty_at_once;) {
        if (at->second > long_ago) {
            ++at;
            continue;
        }
        taken.push_back(at->first);
        at = empty_.erase(at);
    }
    return taken;
}

void Home::put_back_empty(const std::vector<storage::QueueId>& queues) {
    for (const storage::QueueId id : queues)
        if (!queues_.contains(id) && empty_.size() < empty_max)
            empty_.emplace(id, parts_.reactor.now());
}

Task<> Home::pump() {
    while (!stopping_) {
        const WallTime now = parts_.reactor.wall();
        bool more = false;
        if (!storage_failed_) {
            look_after(now);
            more = dispatch_due(now);
            while (!lendable_.empty() && !storage_failed_) {
                Link& link = *lendable_.front();
                lendable_.pop_front();
                lend(link, now);
                link.lendable = false;
            }
        }
        if (more) {
            co_await yield(parts_.reactor);
            continue;
        }
        auto sleep = std::chrono::milliseconds(clock_check);
        if (!schedule_.empty() && !storage_failed_)
            sleep = std::clamp(schedule_.begin()->first - now, std::chrono::milliseconds(1), sleep);
        co_await changed_.wait_until(parts_.reactor.now() + sleep);
    }
}

/// True: more are due. A hundred thousand queues that fall due together must not hold the shard.
bool Home::dispatch_due(WallTime now) {
    for (size_t i = 0; !schedule_.empty() && schedule_.begin()->first <= now; ++i) {
        if (i == dispatched_max) return true;
        Queue& due = *queues_.at(schedule_.begin()->second);
        unschedule(due);
        make_ready(due);
    }
    return false;
}

void Home::make_ready(Queue& target) {
    target.way_epoch = way_epoch_;
    if (obey(target) == Obeyed::elsewhere) return;
    const std::string& name = target.info->domain;
    Domain& domain = domains_[name];
    auto fixed = fixed_routes_.find(name);
    if (fixed == fixed_routes_.end()) fixed = fixed_routes_.find("*");
    if (fixed != fixed_routes_.end() && fixed->second) {
        domain.route = fixed->second;  // whose policy is the operator's alone
        domain.route_until = Instant::max();
        domain.sts = {};
    }
    if (parts_.reactor.now() < domain.hold_until) {
        // Held for a while: back into the schedule at the end of the hold.
        const auto hold =
            std::chrono::ceil<std::chrono::milliseconds>(domain.hold_until - parts_.reactor.now());
        target.scheduled_for = parts_.reactor.wall() + hold;
        target.place = Queue::Place::scheduled;
        schedule_.emplace(target.scheduled_for, target.id);
        return;
    }
    target.place = Queue::Place::ready;
    if (domain.route && parts_.reactor.now() < domain.route_until) {
        Link& link = link_for(name, domain);
        have_turn(link, target);
        return;
    }
    domain.waiting.push_back(&target);
    if (std::exchange(domain.resolving, true)) return;
    unresolved_.push_back(name);
    resolve_next();
}

void Home::stop_lending() {
    stopping_ = true;
    changed_.notify_all();
    cleared_.notify_all();
    sweep_due_.notify_all();
}

Task<> Home::drained() {
    // Also when the store takes nothing: sites of other shards still give back what they had.
    while (!lent_.empty()) co_await drained_.wait();
    co_await scope_.join();
}

Home::Status Home::status() const {
    Status status{.waiting = waiting_.count, .lent = lent_.size(), .queues = queues_.size()};
    const WallTime now = parts_.reactor.wall();
    WallTime oldest = now;
    if (!schedule_.empty()) oldest = std::min(oldest, schedule_.begin()->first);
    for (const auto& [key, link] : links_)
        link->order.for_each([&](const Queue* queue) {
            if (const auto due = queue->window.next_due()) oldest = std::min(oldest, *due);
        });
    status.oldest_seconds = std::chrono::duration<double>(now - oldest).count();
    return status;
}

/// Forgets what nobody uses any more: routes past their time, accounts with sites that nothing
/// waits for.
Task<> Home::sweep() {
    while (!stopping_) {
        co_await sweep_due_.wait_until(parts_.reactor.now() + sweep_every);
        const Instant now = parts_.reactor.now();
        kept_jobs_.clear();
        std::erase_if(domains_, [&](const auto& entry) {
            const Domain& domain = entry.second;
            return !domain.resolving && domain.waiting.empty() && domain.hold_until <= now &&
                   (!domain.route || domain.route_until <= now);
        });
        std::erase_if(links_, [&](const auto& entry) {
            const Link& link = *entry.second;
            if (link.order.busy() || link.lendable) return false;
            links_by_id_.erase(link.id);
            return true;
        });
    }
}

}  // namespace engine
