// What operators have ordered, obeyed: held queues, mail that goes another way, and rows that a
// cancellation ends.
#include <algorithm>
#include <utility>

#include "engine/delivery/home.h"
#include "engine/delivery/site_policy.h"

namespace engine {

namespace {
constexpr auto look_for_cancelled_every = std::chrono::seconds(1);
}

// ---- suspensions

/// Before anything is asked of the DNS: orders that need no route.
Home::Obeyed Home::obey(Queue& target) {
    target.via = {};
    const Suspension* order = parts_.orders.suspensions().of_queue(*target.info);
    if (!order) return Obeyed::nothing_ordered;
    if (order->holds())
        hold(target, *order);
    else
        lead(target, *order);
    return Obeyed::elsewhere;
}

/// Where it is about to be lent. Orders may have come since it was made ready.
Home::Obeyed Home::obey(Queue& target, const Link& link) {
    const Suspensions& orders = parts_.orders.suspensions();
    const bool led = target.via != OrderId{};
    if (!led && orders.empty()) return Obeyed::nothing_ordered;
    const Suspension* order = orders.on_way(*target.info, link.provider, link.site);
    if (order && order->holds()) {
        hold(target, *order);
        return Obeyed::elsewhere;
    }
    if (led) {
        if (orders.find(target.via)) return Obeyed::nothing_ordered;
        schedule(target);  // back to the usual way
        forget_if_empty(target);
        return Obeyed::elsewhere;
    }
    if (!order) return Obeyed::nothing_ordered;
    lead(target, *order);
    return Obeyed::elsewhere;
}

/// A held queue costs a few rows of memory and no content, stands in no schedule, and is looked at
/// again when its order ends.
void Home::hold(Queue& target, const Suspension& order) {
    target.place = Queue::Place::held;
    const size_t before_size = target.window.size();
    target.window.rest(window_min);
    HeldBack& held = held_[order.id];
    held.kind = order.reach.kind();
    held.rows[target.id] = before_size;
    if (target.window.cursor()) want_walk(target);  // which counts it, and knows when it expires
    unhold_if_empty(target);
    forget_if_empty(target);
}

void Home::note_held(const Queue& target, uint64_t rows) {
    if (target.place != Queue::Place::held) return;
    for (auto& [order, held] : held_)
        if (const auto found = held.rows.find(target.id); found != held.rows.end())
            found->second = rows;
}

uint64_t Home::noted_held(const Queue& target) const {
    for (const auto& [order, held] : held_)
        if (const auto found = held.rows.find(target.id); found != held.rows.end())
            return found->second;
    return 0;
}

void Home::lead(Queue& target, const Suspension& order) {
    target.via = order.id;
    target.way_epoch = way_epoch_;
    target.place = Queue::Place::ready;
    const Domain way{.route = parts_.orders.suspensions().route_of(order)};
    have_turn(link_for({}, way), target);
}

void Home::unhold_if_empty(Queue& target) {
    if (target.place != Queue::Place::held || !target.window.empty()) return;
    for (auto& [order, held] : held_) held.rows.erase(target.id);
    target.place = Queue::Place::idle;
}

void Home::obey_orders() {
    ++orders_epoch_;
    next_look_ = Instant::min();
    for (auto next = held_.begin(); next != held_.end();) {
        const auto one = next++;
        if (parts_.orders.suspensions().find(one->first)) continue;
        for (const auto& [id, rows] : one->second.rows) {
            Queue& target = *queues_.at(id);
            target.place = Queue::Place::idle;
            schedule(target);
            forget_if_empty(target);
        }
        held_.erase(one);
    }
    changed_.notify_all();
}

Home::Counts Home::held() const {
    Counts counts;
    for (const auto& [order, held] : held_)
        for (const auto& [queue, rows] : held.rows) counts[order] += rows;
    return counts;
}

bool Home::is_on_way(const Reach& reach, const std::string& domain) const {
    if (!reach.names_way()) return true;
    std::shared_ptr<const Route> route;
    if (const auto known = domains_.find(domain); known != domains_.end())
        route = known->second.route;
    if (!route) return false;
    const SitePolicy policy = policy_for(*parts_.settings, domain, *route);
    return reach.of_way(policy.provider, policy.site);
}

std::vector<storage::QueueId> Home::queues_of(const Reach& reach) const {
    std::vector<storage::QueueId> found;
    for (const auto& [id, queue] : queues_)
        if (reach.of_queue(*queue->info) && is_on_way(reach, queue->info->domain))
            found.push_back(id);
    return found;
}

// ---- cancellations

void Home::must_be_cleared(Queue& target, uint64_t since) {
    const auto [entry, inserted] = to_clear_.try_emplace(target.id, Clearing{since, orders_epoch_});
    entry->second.last = orders_epoch_;
}

/// One pass over the queues in memory for however many cancellations have come since the last.
void Home::look_for_cancelled() {
    const Instant now = parts_.reactor.now();
    if (looked_epoch_ == orders_epoch_ || now < next_look_for_cancelled_) return;
    next_look_for_cancelled_ = now + look_for_cancelled_every;
    // Whoever waits for an order that came in between must not be told that its rows are ended.
    const uint64_t since = std::exchange(looked_epoch_, orders_epoch_) + 1;
    const Cancellations& orders = parts_.orders.cancellations();
    if (orders.empty()) {
        to_clear_.clear();
        cancelled_.clear();
        return;
    }
    for (const auto& [id, queue] : queues_)
        if (orders.touches(*queue->info)) must_be_cleared(*queue, since);
}

void Home::go_on_clearing() {
    std::erase_if(to_clear_, [&](const auto& entry) { return !queues_.contains(entry.first); });
    for (const auto& [id, clearing] : to_clear_) want_walk(*queues_.at(id));
    cleared_.notify_all();
}

bool Home::cleared(uint64_t epoch) const {
    return looked_epoch_ >= epoch && std::ranges::none_of(to_clear_, [&](const auto& entry) {
               return entry.second.first <= epoch;
           });
}

Task<bool> Home::rows_cleared() {
    const uint64_t epoch = orders_epoch_;
    while (!stopping_ && !cleared(epoch)) co_await cleared_.wait();
    co_return !stopping_;
}

}  // namespace engine
