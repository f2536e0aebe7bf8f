#include "tests/sim/orders.h"

#include <algorithm>

#include "tests/sim/book.h"

namespace sim {

namespace {
/// Of a job it is about what is still to come, too.
bool came_before(const Item& item, const Order& order) {
    return order.reach.job.has_value() || item.accepted_at < order.called;
}
}  // namespace

bool Order::is_about(const Item& item, const JobBook& job) const {
    if (!reach.of_queue({item.tenant, job.campaign, job.klass, item.domain})) return false;
    if (reach.job && *reach.job != job.id) return false;
    return !reach.recipient || *reach.recipient == engine::mailbox_key(item.address);
}

bool Order::is_about(const Item& item, const JobBook& job, const Way& way) const {
    return is_about(item, job) && (!reach.provider || *reach.provider == way.provider) &&
           (!reach.site || *reach.site == way.site) &&
           (!reach.source || *reach.source == way.source);
}

size_t OrderBook::call(Order order) {
    constexpr std::array words{"hold", "lead away", "cancel"};
    world_.trace("order {}: {} {}", orders_.size(), words[static_cast<size_t>(order.kind)],
                 order.reach.words());
    order.called = world_.now();
    orders_.push_back(std::move(order));
    return orders_.size() - 1;
}

void OrderBook::lift_all() {
    for (Order& order : orders_)
        if (order.kind != Order::Kind::cancel && !order.lifted) order.lifted = world_.now();
}

bool OrderBook::in_force(const Order& order, const Way& way) const {
    if (!order.stands || way.begun < *order.stands + Way::under_way) return false;
    if (order.lifted && way.sent >= *order.lifted) return false;
    return !order.until || world_.engine_wall(way.sent) + world_.clock_slack() < *order.until;
}

void OrderBook::check_sent(const Item& item, const JobBook& job, const Way& way) {
    const bool away = way.group == relay;
    bool led = false;
    for (const Order& order : orders_) {
        led |= order.kind == Order::Kind::lead_away && order.is_about(item, job);
        if (!in_force(order, way) || !order.is_about(item, job, way)) continue;
        const auto fail = [&](const char* invariant) {
            const auto later =
                std::chrono::floor<std::chrono::milliseconds>(way.begun - *order.stands);
            world_.fail(invariant, fmt::format("{} to {}, {} ms after: {}", item.address, way.group,
                                               later.count(), order.reach.words()));
        };
        if (order.kind == Order::Kind::suspend) fail("nothing is sent while it is suspended");
        if (order.kind == Order::Kind::lead_away && !away)
            fail("what is led away goes nowhere else");
        if (order.kind == Order::Kind::cancel && came_before(item, order))
            fail("nothing is sent after it was cancelled");
    }
    if (away && !led)
        world_.fail("only what is led away goes another way", item.address + " went to the relay");
}

bool OrderBook::cancelled(const Item& item, const JobBook& job) const {
    return std::ranges::any_of(orders_, [&](const Order& order) {
        return order.kind == Order::Kind::cancel && order.is_about(item, job);
    });
}

std::optional<Instant> OrderBook::cancelled_since(const Item& item, const JobBook& job) const {
    std::optional<Instant> first;
    for (const Order& order : orders_) {
        if (order.kind != Order::Kind::cancel || !order.stands || !order.is_about(item, job))
            continue;
        if (!came_before(item, order)) continue;
        const Instant since = std::max(*order.stands, item.accepted_at);
        first = std::min(first.value_or(since), since);
    }
    return first;
}

}  // namespace sim
