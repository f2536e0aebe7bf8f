// The schedule, and lending. What comes back is in home_record.cc, what is read from disk in
// home_refill.cc.
#include "engine/delivery/home.h"

#include <algorithm>

#include "engine/delivery/outcome_table.h"
#include "engine/delivery/site_policy.h"
#include "engine/policy/host_demand.h"
#include "engine/reactor/sleep.h"
#include "engine/reactor/yield.h"
#include "metrics/check.h"
#include "metrics/log.h"

namespace engine {

namespace {

constexpr auto temporary_hold =
    std::chrono::seconds(10);                   // of a domain whose route could not be had
constexpr auto soon = std::chrono::minutes(1);  // what is due within it may be in memory as it is
constexpr auto clock_check = std::chrono::seconds(1);  // the wall clock may jump under a sleep
constexpr auto adopted_look_after = std::chrono::seconds(60);
constexpr uint64_t adopted_look_over = 540;                  // seconds
constexpr auto empty_for = std::chrono::minutes(1);          // then a queue's row goes
constexpr auto suppression_retry = std::chrono::seconds(1);  // after a list could not be read
constexpr auto sweep_every = std::chrono::seconds(30);
constexpr size_t lent_overhead = 64;  // in the set of what is lent

size_t bytes_of(const storage::Delivery& delivery) {
    return sizeof(Loan) + lent_overhead + delivery.recipient.size() + delivery.vars.size() +
           delivery.meta.size() + delivery.orcpt.size();
}

/// Deliveries of one class that a site may hold of one home: enough to keep its connections busy
/// over a round trip between shards.
size_t credit_for(const Limits& limits, size_t sources) {
    const size_t connections = limits.connections == 0 ? 1024 : limits.connections;
    return std::clamp<size_t>(connections * sources * 8, 64, 1024);
}

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

void Home::fix_routes() {
    fixed_routes_.clear();
    for (const DomainSettings& domain : parts_.settings->domains) {
        fixed_routes_.emplace(domain.name, domain.route.empty()
                                               ? nullptr
                                               : fixed_route(domain, parts_.settings->port));
    }
}

/// Routes that the DNS gave stay. A queue that stands at a link finds its way anew when its turn
/// comes.
void Home::find_ways_anew() {
    ++way_epoch_;
    fix_routes();
    for (auto& [name, domain] : domains_) {
        domain.hold_until = Instant::min();  // who mends a route does not wait for a failed look-up
        if (!domain.route || domain.route->expires != Instant::max()) continue;
        domain.route.reset();
        domain.route_until = Instant::min();
    }
    changed_.notify_all();
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

/// Within a bound: the DNS client refuses what is beyond its own, and that would hold the domains.
void Home::resolve_next() {
    if (std::exchange(resolving_next_, true)) return;  // from a look-up that ended at once
    while (resolving_ < resolving_max && !unresolved_.empty()) {
        std::string name = std::move(unresolved_.front());
        unresolved_.pop_front();
        ++resolving_;
        scope_.spawn(resolve(std::move(name)));
    }
    resolving_next_ = false;
}

Task<> Home::ask_policy(std::string name, StsAnswer& answer) {
    answer = co_await parts_.sts->policy_of(std::move(name));
}

Task<> Home::resolve(std::string name) {
    StsAnswer sts{.ask_again = Instant::max()};
    Scope beside;
    if (parts_.sts) beside.spawn(ask_policy(name, sts));
    auto route = co_await parts_.resolver.route(name);
    co_await beside.join();
    --resolving_;
    Domain& domain = domains_[name];
    domain.resolving = false;
    if (stopping_) co_return;
    std::vector<Queue*> waiting = std::exchange(domain.waiting, {});
    if (!route) {
        no_route(std::move(waiting), domain, route.error());
    } else {
        domain.route = *route;
        domain.route_until = std::min((*route)->expires, sts.ask_again);
        domain.sts = std::move(sts);
        Link& link = link_for(name, domain);
        for (Queue* queue : waiting) have_turn(link, *queue);
    }
    changed_.notify_all();
    resolve_next();
}

/// So many of each queue are judged; the rest keeps its due times, and its turn comes again.
void Home::no_route(std::vector<Queue*> waiting, Domain& domain, const NoRoute& why) {
    const WallTime now = parts_.reactor.wall();
    Attempt attempt;
    attempt.verdict = verdict_of(why);
    if (final_course(attempt.verdict) == Course::later)
        domain.hold_until = parts_.reactor.now() + temporary_hold;
    attempt.started = now;
    std::vector<Decision> decisions;
    for (Queue* queue : waiting) {
        queue->place = Queue::Place::idle;
        for (Waiting& due : queue->window.take_due(now, judged_max))
            decisions.push_back(decide(terms_of(*queue, std::move(due), 0), attempt,
                                       *parts_.settings, now, parts_.reactor.random()));
        if (is_due(*queue, now) && !queue->window.first_loaded())
            fetch(*queue);
        else
            schedule(*queue);
        forget_if_empty(*queue);
    }
    record_later(std::move(decisions));
}

Home::Link& Home::link_for(const std::string& name, const Domain& domain) {
    const SitePolicy policy = policy_for(*parts_.settings, name, *domain.route);
    LinkKey key{policy.site, policy.tls};
    if (domain.sts.policy)
        key.tls = with_sts(std::move(key.tls), *domain.sts.policy, *domain.route);
    std::unique_ptr<Link>& slot = links_[key];
    if (!slot) {
        slot = std::make_unique<Link>();
        slot->id = ++last_link_;
        slot->site = policy.site;
        // Nearly all mail demands the same: one copy of it (160 octets) for the links in a row.
        if (!last_demand_ || *last_demand_ != key.tls)
            last_demand_ = std::make_shared<const TlsDemand>(key.tls);
        slot->tls = last_demand_;
        links_by_id_[slot->id] = slot.get();
    }
    slot->credit = credit_for(policy.limits, parts_.settings->sources.size());
    slot->provider = policy.provider;
    slot->route = domain.route;
    slot->domain = name;
    return *slot;
}

/// It has something due for this site: it is lent from in its turn.
void Home::have_turn(Link& link, Queue& target, Where where) {
    const storage::QueueInfo& info = *target.info;
    const bool room = link.order.add(
        {info.klass, info.tenant, info.campaign, parts_.settings->weight_of(info.tenant)}, &target,
        where);
    if (room) offer(link);
}

void Home::offer(Link& link) {
    if (link.lendable) return;
    link.lendable = true;
    lendable_.push_back(&link);
}

/// Of all loans of this home. Contents are counted apart.
size_t Home::loan_bytes_max() const {
    return parts_.settings->memory_bytes / 8 / parts_.shards;
}

/// Of each class: what keeps the site's connections busy, as long as that is a small part of what
/// is free of the memory for loans; so ten thousand slow sites leave some of it to the next one.
size_t Home::credit_of(const Link& link) const {
    const size_t free = loan_bytes_max() - std::min(lent_bytes_, loan_bytes_max());
    const size_t of_one = std::max(loan_bytes, lent_bytes_ / std::max<size_t>(lent_.size(), 1));
    return std::clamp(free / 16 / of_one, LendingOrder<Queue*>::allowance_min, link.credit);
}

LoanTerms Home::terms_of(Queue& owner, Waiting waiting, uint64_t link) {
    lent_.insert(waiting.delivery.id);
    ++owner.lent;
    const size_t bytes = bytes_of(waiting.delivery);
    lent_bytes_ += bytes;
    return {.delivery = std::move(waiting.delivery),
            .job = std::move(waiting.job),
            .queue = owner.info,
            .home = parts_.shard,
            .link = link,
            .bytes = bytes,
            .last = std::move(waiting.last),
            .via = owner.via};
}

/// First those whose heads have been read for their turn.
std::optional<Home::Turn> Home::next_turn(Link& link) {
    while (!link.fetched.empty()) {
        Queue& next = *link.fetched.front();
        link.fetched.pop_front();
        const storage::QueueInfo& info = *next.info;
        const size_t room = link.order.come_back(info.klass, info.tenant, quantum);
        if (room > 0) return Turn{&next, room};
        next.place = Queue::Place::ready;
        have_turn(link, next);  // its tenant's share has shrunk meanwhile
    }
    return link.order.next(quantum);
}

void Home::lend(Link& link, WallTime now) {
    Lending lending{link.route, link.site, link.domain, link.tls, parts_.settings.number(), {}};
    std::vector<LoanTerms> unsure;
    std::vector<Decision> decisions;
    link.order.set_credit(credit_of(link), lent_bytes_ > loan_bytes_max());
    for (fetch_more(link); const auto turn = next_turn(link); fetch_more(link)) {
        Queue& source = *turn->item;
        source.place = Queue::Place::idle;
        const size_t goes_on = std::exchange(source.turn_left, 0);
        const std::shared_ptr<const storage::QueueInfo> info = source.info;
        if (source.way_epoch != way_epoch_) {  // found by settings that are no more
            link.order.lent(info->klass, info->tenant, 0);
            schedule(source);
            forget_if_empty(source);
            continue;
        }
        if (obey(source, link) == Obeyed::elsewhere) {
            link.order.lent(info->klass, info->tenant, 0);
            continue;
        }
        if (is_due(source, now) && !source.window.first_loaded()) {
            link.order.set_aside(source.info->klass, source.info->tenant, quantum);
            source.place = Queue::Place::fetching;
            source.fetched_for = &link;
            link.unread.push_back(&source);
            continue;
        }
        size_t lent = 0, taken = 0;
        const storage::JobId suppressed_upto = parts_.store.suppressed_upto(info->tenant);
        for (Waiting& due : source.window.take_due(now, turn->room)) {
            ++taken;
            auto over = ended(*source.info, due.delivery, now);
            const bool lost = !due.job->content();
            LoanTerms terms = terms_of(source, std::move(due), over || lost ? 0 : link.id);
            if (over) {
                over->terms = std::move(terms);
                decisions.push_back(decision_of(std::move(*over), now));
            } else if (lost) {
                decisions.push_back(
                    content_lost(std::move(terms), *parts_.settings, now, parts_.reactor.random()));
            } else {
                ++lent;
                auto& where = may_be_suppressed(terms, suppressed_upto) ? unsure : lending.loans;
                where.push_back(std::move(terms));
            }
        }
        if (!is_due(source, now)) {
            schedule(source);
        } else {
            // Its next turn is near: it is read ahead, so that the site does not wait for the disk.
            const bool near = link.order.waiting() < near_turns;
            if (near && source.window.cursor() && source.window.size() < room(now) / 2)
                want_refill(source);
            source.place = Queue::Place::ready;
            const bool first = goes_on > taken && source.window.first_loaded();
            if (first) source.turn_left = goes_on - taken;
            have_turn(link, source, first ? Where::front : Where::back);
        }
        link.order.lent(info->klass, info->tenant, lent);
        forget_if_empty(source);
    }
    record_later(std::move(decisions));
    if (!unsure.empty()) {
        Lending checked{lending.route, lending.site,     lending.domain,
                        lending.tls,   lending.settings, {}};
        scope_.spawn(lend_checked(std::move(checked), std::move(unsure)));
    }
    if (!lending.loans.empty()) parts_.lender.lend(std::move(lending));
}

/// Recipients were compared with the lists as they were accepted: only what was accepted before the
/// latest entry is looked up once more; and what ShardIntake leaves to us.
bool Home::may_be_suppressed(const LoanTerms& terms, storage::JobId upto) {
    const storage::Job& job = terms.job->job();
    return terms.delivery.id.job <= upto ||
           (upto != storage::JobId{} && (job.sender.empty() || job.reports));
}

/// In one go what stands together of one tenant.
storage::Result<std::vector<Listed>> Home::look_up_all(const std::vector<LoanTerms>& unsure) const {
    std::vector<Listed> listed;
    for (size_t i = 0; i < unsure.size();) {
        const std::string& tenant = unsure[i].queue->tenant;
        std::vector<std::string> addresses;
        for (; i < unsure.size() && unsure[i].queue->tenant == tenant; ++i)
            addresses.push_back(
                suppressed_form(unsure[i].delivery.recipient, unsure[i].queue->domain));
        const auto found = look_up(parts_.store, tenant, addresses);
        if (!found) return std::unexpected(found.error());
        listed.insert(listed.end(), found->begin(), found->end());
    }
    return listed;
}

/// They are lent already, as far as credits go, and nobody has them yet.
Task<> Home::lend_checked(Lending lending, std::vector<LoanTerms> unsure) {
    storage::Result<std::vector<Listed>> listed;
    co_await parts_.worker.run([&] { listed = look_up_all(unsure); });
    const WallTime now = parts_.reactor.wall();
    std::vector<Decision> decisions;
    std::vector<Return> back;
    for (size_t i = 0; i < unsure.size(); ++i) {
        if (stopping_ || !listed) {
            back.push_back({std::move(unsure[i]), std::nullopt});
        } else if ((*listed)[i] == Listed::yes) {
            decisions.push_back(suppress(std::move(unsure[i]), now));
        } else if ((*listed)[i] == Listed::unreadable) {
            decisions.push_back(
                list_lost(std::move(unsure[i]), *parts_.settings, now, parts_.reactor.random()));
        } else {
            lending.loans.push_back(std::move(unsure[i]));
        }
    }
    record_later(std::move(decisions));
    if (!lending.loans.empty()) parts_.lender.lend(std::move(lending));
    if (!listed) {
        metrics::log::error("suppression.read_failed", {{"error", listed.error().what},
                                                        {"deliveries", back.size()},
                                                        {"hint", "they are tried again"}});
        co_await sleep_for(parts_.reactor, suppression_retry);
    }
    if (!back.empty()) settle(std::move(back));
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
