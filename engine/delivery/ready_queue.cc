#include "engine/delivery/ready_queue.h"

#include <algorithm>

#include "metrics/check.h"

namespace engine {

namespace {
constexpr size_t transactional = static_cast<size_t>(storage::Class::transactional);
constexpr size_t bulk = static_cast<size_t>(storage::Class::bulk);
}  // namespace

ReadyQueue::Flow& ReadyQueue::flow_of(const Loan& loan) {
    const storage::QueueId id = loan.terms().delivery.queue;
    if (const auto found = flows_.find(id); found != flows_.end()) return *found->second.flow;
    const storage::QueueInfo& info = *loan.terms().queue;
    Tenants& side = sides_[static_cast<size_t>(info.klass)];
    auto& tenant = side.of(info.tenant, weight_of_ ? weight_of_(info.tenant) : 1);
    auto& campaign = tenant.member.campaigns.of(info.campaign, 1);
    std::list<Flow>& flows = campaign.member.flows;
    flows.push_back({id, {}});
    ++tenant.member.flows;
    flows_.emplace(id, Place{&side, &tenant, &campaign, std::prev(flows.end())});
    return flows.back();
}

void ReadyQueue::push(Loan loan) {
    ++sizes_[static_cast<size_t>(loan.terms().queue->klass)];
    flow_of(loan).loans.push_back(std::move(loan));
    ++size_;
}

void ReadyQueue::push_front(Loan loan) {
    ++sizes_[static_cast<size_t>(loan.terms().queue->klass)];
    flow_of(loan).loans.push_front(std::move(loan));
    ++size_;
}

Loan ReadyQueue::take(const Place& place) {
    Flow& flow = *place.flow;
    Loan loan = std::move(flow.loans.front());
    flow.loans.pop_front();
    --size_;
    --sizes_[static_cast<size_t>(loan.terms().queue->klass)];
    std::list<Flow>& flows = place.campaign->member.flows;
    if (flow.loans.empty()) {
        flows_.erase(flow.id);
        flows.erase(place.flow);
        --place.tenant->member.flows;
    }
    return loan;
}

std::optional<Loan> ReadyQueue::pop_from(Tenants& side) {
    const auto anybody = [](const auto&) { return true; };
    auto* tenant = side.first(anybody);
    if (!tenant) return std::nullopt;
    auto* campaign = tenant->member.campaigns.first(anybody);
    CHECK(campaign, "a tenant has flows and none of its campaigns has");
    std::list<Flow>& flows = campaign->member.flows;
    const auto flow = flows.begin();
    flows.splice(flows.end(), flows, flow);  // its turn is over
    side.charge(*tenant);
    tenant->member.campaigns.charge(*campaign);
    return take({&side, tenant, campaign, flow});
}

std::optional<Loan> ReadyQueue::pop() {
    const bool both = sizes_[transactional] > 0 && sizes_[bulk] > 0;
    const bool bulk_is_owed = both && transactional_run_ >= transactional_run_max;
    const bool take_bulk = sizes_[transactional] == 0 || bulk_is_owed;
    if (take_bulk)
        transactional_run_ -= std::min(transactional_run_, transactional_per_bulk);
    else if (both)
        ++transactional_run_;
    return pop_from(sides_[take_bulk ? bulk : transactional]);
}

std::optional<Loan> ReadyQueue::pop_same_job(const Loan& first) {
    const auto found = flows_.find(first.terms().delivery.queue);
    if (found == flows_.end()) return std::nullopt;
    const Place place = found->second;
    if (place.flow->loans.front().terms().delivery.id.job != first.terms().delivery.id.job)
        return std::nullopt;
    place.side->charge_more(*place.tenant);
    place.tenant->member.campaigns.charge_more(*place.campaign);
    return take(place);
}

std::vector<Loan> ReadyQueue::take_if(const std::function<bool(const Loan&)>& judge) {
    std::vector<Loan> taken;
    for (auto next = flows_.begin(); next != flows_.end();) {
        const auto at = next++;
        const Place place = at->second;
        std::deque<Loan>& loans = place.flow->loans;
        std::deque<Loan> kept;
        for (Loan& loan : loans) {
            if (judge(loan)) {
                --sizes_[static_cast<size_t>(loan.terms().queue->klass)];
                taken.push_back(std::move(loan));
            } else {
                kept.push_back(std::move(loan));
            }
        }
        loans = std::move(kept);
        if (!loans.empty()) continue;
        flows_.erase(at);
        place.campaign->member.flows.erase(place.flow);
        --place.tenant->member.flows;
    }
    size_ -= taken.size();
    return taken;
}

std::deque<Loan> ReadyQueue::take_all() {
    std::deque<Loan> all;
    while (auto loan = pop()) all.push_back(std::move(*loan));
    return all;
}

}  // namespace engine
