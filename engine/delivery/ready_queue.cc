#include "engine/delivery/ready_queue.h"

#include <algorithm>
#include <set>
#include <utility>

#include "metrics/check.h"

namespace engine {

namespace {
constexpr size_t transactional = static_cast<size_t>(storage::Class::transactional);
constexpr size_t bulk = static_cast<size_t>(storage::Class::bulk);
}  // namespace

ReadyQueue::Lines& ReadyQueue::lines() {
    if (!lines_) lines_ = std::make_unique<Lines>();
    return *lines_;
}

ReadyQueue::Flow& ReadyQueue::flow_of(const Loan& loan) {
    const storage::QueueId id = loan.terms().delivery.queue;
    Lines& all = lines();
    if (const auto found = all.flows.find(id); found != all.flows.end()) return *found->second.flow;
    const storage::QueueInfo& info = *loan.terms().queue;
    Tenants& side = all.sides[static_cast<size_t>(info.klass)];
    const WeightOf& weight_of = tenancy_->weight_of;
    auto& tenant = side.of(info.tenant, weight_of ? weight_of(info.tenant) : 1);
    look_at_limit(tenant, info.klass);
    auto& campaign = tenant.member.campaigns.of(info.campaign, 1);
    std::list<Flow>& flows = campaign.member.flows;
    flows.push_back({id, {}});
    ++tenant.member.flows;
    all.flows.emplace(id, Place{&side, &tenant, &campaign, std::prev(flows.end())});
    return flows.back();
}

void ReadyQueue::look_at_limit(Tenants::Entry& tenant, storage::Class klass) {
    const IsLimited& is_limited = tenancy_->is_limited;
    const bool limited = is_limited && is_limited(tenant.name);
    if (limited == tenant.member.limited) return;
    const Counted counted(*this, klass, tenant);
    tenant.member.limited = limited;
}

std::vector<std::string> ReadyQueue::look_at_limits() {
    if (!lines_) return {};
    std::set<std::string> held;
    for (const auto& [id, place] : lines_->flows) {
        const bool first = place.side == &lines_->sides[transactional];
        Tenants::Entry& tenant = *place.tenant;
        look_at_limit(tenant, static_cast<storage::Class>(first ? transactional : bulk));
        if (tenant.member.loans > tenant.member.may_go()) held.insert(tenant.name);
    }
    return {held.begin(), held.end()};
}

ReadyQueue::Counted::Counted(ReadyQueue& queue, storage::Class klass, Tenants::Entry& tenant)
    : queue_(queue), side_(static_cast<size_t>(klass)), name_(tenant.name), tenant_(tenant.member) {
    queue_.sizes_[side_] -= tenant_.may_go();
    queue_.held_ -= tenant_.loans - tenant_.may_go();
}

ReadyQueue::Counted::~Counted() {
    if (tenant_.admitted > tenant_.loans) {
        queue_.lines_->unused[name_] += tenant_.admitted - tenant_.loans;
        tenant_.admitted = tenant_.loans;
    }
    queue_.sizes_[side_] += tenant_.may_go();
    queue_.held_ += tenant_.loans - tenant_.may_go();
}

std::deque<Loan>& ReadyQueue::loans_for(const Loan& loan) {
    Flow& flow = flow_of(loan);
    Tenants::Entry& tenant = *lines_->flows.at(flow.id).tenant;
    const Counted counted(*this, loan.terms().queue->klass, tenant);
    ++tenant.member.loans;
    return flow.loans;
}

void ReadyQueue::push(Loan loan) {
    std::deque<Loan>& loans = loans_for(loan);
    loans.push_back(std::move(loan));
}

void ReadyQueue::push_front(Loan loan) {
    std::deque<Loan>& loans = loans_for(loan);
    loans.push_front(std::move(loan));
}

bool ReadyQueue::has(const std::function<bool(const storage::QueueInfo&)>& judge) const {
    return lines_ && std::ranges::any_of(lines_->flows, [&](const auto& entry) {
               return judge(*entry.second.flow->loans.front().terms().queue);
           });
}

size_t ReadyQueue::held(const std::string& tenant) {
    size_t sum = 0;
    if (!lines_) return sum;
    for (Tenants& side : lines_->sides)
        if (const auto* of = side.find(tenant)) sum += of->member.loans - of->member.may_go();
    return sum;
}

size_t ReadyQueue::admitted(const std::string& tenant) {
    size_t sum = 0;
    if (!lines_) return sum;
    for (Tenants& side : lines_->sides)
        if (const auto* of = side.find(tenant)) sum += of->member.admitted;
    return sum;
}

void ReadyQueue::admit(const std::string& tenant) {
    if (!lines_) return;
    for (const size_t side : {transactional, bulk}) {
        auto* of = lines_->sides[side].find(tenant);
        if (!of || of->member.loans == of->member.may_go()) continue;
        const Counted counted(*this, static_cast<storage::Class>(side), *of);
        ++of->member.admitted;
        return;
    }
}

Loan ReadyQueue::take(const Place& place, Rides rides) {
    Flow& flow = *place.flow;
    Loan loan = std::move(flow.loans.front());
    flow.loans.pop_front();
    {
        Tenant& tenant = place.tenant->member;
        const Counted counted(*this, loan.terms().queue->klass, *place.tenant);
        --tenant.loans;
        if (rides == Rides::no && tenant.admitted > 0) --tenant.admitted;
    }
    std::list<Flow>& flows = place.campaign->member.flows;
    if (flow.loans.empty()) {
        lines_->flows.erase(flow.id);
        flows.erase(place.flow);
        --place.tenant->member.flows;
    }
    return loan;
}

std::optional<Loan> ReadyQueue::pop_from(Tenants& side) {
    auto* tenant = side.first([](const auto& entry) { return entry.member.may_go() > 0; });
    if (!tenant) return std::nullopt;
    auto* campaign = tenant->member.campaigns.first([](const auto&) { return true; });
    CHECK(campaign, "a tenant has flows and none of its campaigns has");
    std::list<Flow>& flows = campaign->member.flows;
    const auto flow = flows.begin();
    flows.splice(flows.end(), flows, flow);  // its turn is over
    side.charge(*tenant);
    tenant->member.campaigns.charge(*campaign);
    return take({&side, tenant, campaign, flow}, Rides::no);
}

std::optional<Loan> ReadyQueue::pop() {
    if (!lines_) return std::nullopt;
    unsigned& run = lines_->transactional_run;
    const bool both = sizes_[transactional] > 0 && sizes_[bulk] > 0;
    const bool bulk_is_owed = both && run >= transactional_run_max;
    const bool take_bulk = sizes_[transactional] == 0 || bulk_is_owed;
    if (take_bulk)
        run -= std::min(run, transactional_per_bulk);
    else if (both)
        ++run;
    return pop_from(lines_->sides[take_bulk ? bulk : transactional]);
}

std::optional<Loan> ReadyQueue::pop_same_job(const Loan& first) {
    if (!lines_) return std::nullopt;
    const auto found = lines_->flows.find(first.terms().delivery.queue);
    if (found == lines_->flows.end()) return std::nullopt;
    const Place place = found->second;
    if (place.flow->loans.front().terms().delivery.id.job != first.terms().delivery.id.job)
        return std::nullopt;
    place.side->charge_more(*place.tenant);
    place.tenant->member.campaigns.charge_more(*place.campaign);
    return take(place, Rides::yes);
}

std::vector<Loan> ReadyQueue::take_if(const std::function<bool(const Loan&)>& judge) {
    std::vector<Loan> taken;
    if (!lines_) return taken;
    auto& flows = lines_->flows;
    for (auto next = flows.begin(); next != flows.end();) {
        const auto at = next++;
        const Place place = at->second;
        std::deque<Loan>& loans = place.flow->loans;
        std::deque<Loan> kept;
        for (Loan& loan : loans) {
            if (judge(loan)) {
                const Counted counted(*this, loan.terms().queue->klass, *place.tenant);
                --place.tenant->member.loans;
                taken.push_back(std::move(loan));
            } else {
                kept.push_back(std::move(loan));
            }
        }
        loans = std::move(kept);
        if (!loans.empty()) continue;
        flows.erase(at);
        place.campaign->member.flows.erase(place.flow);
        --place.tenant->member.flows;
    }
    return taken;
}

void ReadyQueue::forget_turns() {
    CHECK(!lines_ || lines_->flows.empty(), "turns are forgotten while somebody waits for one");
    if (lines_ && lines_->unused.empty()) lines_.reset();
}

std::deque<Loan> ReadyQueue::take_all() {
    if (!lines_) return {};
    for (const auto& [id, place] : lines_->flows) {
        Tenant& tenant = place.tenant->member;
        if (!tenant.limited || tenant.admitted == 0) continue;
        const bool first = place.side == &lines_->sides[transactional];
        const Counted counted(*this, static_cast<storage::Class>(first ? transactional : bulk),
                              *place.tenant);
        lines_->unused[place.tenant->name] += std::exchange(tenant.admitted, 0);
    }
    std::deque<Loan> all;
    while (auto loan = pop()) all.push_back(std::move(*loan));
    for (Loan& held : take_if([](const Loan&) { return true; })) all.push_back(std::move(held));
    return all;
}

}  // namespace engine
