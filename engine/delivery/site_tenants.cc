// Mail of tenants with limits of their own: it waits in the ready queue until its tenant's total
// lets a message begin, so that a connection never has to look whose mail it pulls.
#include <algorithm>

#include "engine/delivery/shares.h"
#include "engine/delivery/site.h"

namespace engine {

namespace {
constexpr auto gate_look = std::chrono::seconds(1);
}

void Site::put(Loan loan) {
    const std::string& tenant = loan.terms().queue->tenant;  // of the queue, which stays
    ready_.push(std::move(loan));
    if (ready_.held() > 0) see_tenant(tenant);
}

/// In front: it had its turn and was not judged.
void Site::put_back(Loan loan) {
    const std::string& tenant = loan.terms().queue->tenant;  // of the queue, which stays
    ready_.push_front(std::move(loan));
    if (ready_.held() > 0) see_tenant(tenant);
}

/// Some of its mail came or was pulled: more of it may be admitted.
void Site::see_tenant(const std::string& tenant) {
    if (const auto gate = gates_.find(tenant); gate != gates_.end())
        return gate->second->notify_all();
    if (!draining_ && ready_.held() > 0 && ready_.held(tenant) > 0) scope_.spawn(admit(tenant));
}

/// As long as mail of the tenant is held here. It stands in line for each message, so sites take
/// turns; what is admitted and not begun stays small, or it would all begin at once when its site
/// may send again.
Task<> Site::admit(std::string tenant) {
    Share& total = parts_.shares.of(TotalOf::tenant, tenant);
    Signal turn(parts_.reactor);
    gates_[tenant] = &turn;
    std::optional<MessagePlace> place;
    while (!draining_ && ready_.held(tenant) > 0) {
        const Instant now = parts_.reactor.now();
        if (ready_.admitted(tenant) > live_) {
            place.reset();
            co_await turn.wait_until(now + gate_look);
            continue;
        }
        if (!place) place.emplace(total, turn);
        if (!place->take(now, ready_.held(tenant))) {
            co_await turn.wait_until(std::min(place->next(now), now + gate_look));
            continue;
        }
        place.reset();
        ready_.admit(tenant);
        work_.notify_one();
        fill();
    }
    gates_.erase(tenant);
}

/// What was admitted and has not begun: others of the tenant's mail may, or its quota has it again.
void Site::give_back_admissions() {
    for (const auto& [tenant, count] : ready_.take_unused()) {
        Share& total = parts_.shares.of(TotalOf::tenant, tenant);
        for (size_t i = 0; i < count; ++i) total.give_back_message(parts_.reactor.now());
    }
}

/// Of mail that waits for nothing else.
std::optional<Binding> Site::holds_tenants() const {
    const Instant now = parts_.reactor.now();
    std::optional<Binding> first;
    for (const auto& [tenant, gate] : gates_) {
        Share& total = parts_.shares.of(TotalOf::tenant, tenant);
        const auto limit = total.holds_messages(now);
        if (!limit) continue;
        Binding held{limit_label(TotalOf::tenant, *limit), total.held_until(*limit, now),
                     total.limits().origin(*limit), words_of(total.key(), total.limits(), *limit)};
        if (!first || held.until < first->until) first = std::move(held);
    }
    return first;
}

}  // namespace engine
