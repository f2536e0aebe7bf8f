// Where mail goes: a domain's route, asked for once for all that waits for it, and the account
// with the site that it leads to.
#include <algorithm>

#include "engine/delivery/home.h"
#include "engine/delivery/outcome_table.h"
#include "engine/delivery/site_policy.h"
#include "engine/policy/host_demand.h"

namespace engine {

namespace {

constexpr auto temporary_hold =
    std::chrono::seconds(10);  // of a domain whose route could not be had

/// Deliveries of one class that a site may hold of one home: enough to keep its connections busy
/// over a round trip between shards.
size_t credit_for(const Limits& limits, size_t sources) {
    const size_t connections = limits.connections == 0 ? 1024 : limits.connections;
    return std::clamp<size_t>(connections * sources * 8, 64, 1024);
}

}  // namespace

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
    LinkKey key{policy.site, policy.tls()};
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

}  // namespace engine
