#include "engine/delivery/ready_queue.h"

#include "metrics/check.h"

namespace engine {

ReadyQueue::Turns& ReadyQueue::turns_of(storage::Class klass) {
    return klass == storage::Class::transactional ? transactional_ : bulk_;
}

ReadyQueue::Flow& ReadyQueue::flow_of(const Loan& loan) {
    const storage::QueueId id = loan.terms().delivery.queue;
    if (const auto found = flows_.find(id); found != flows_.end()) return *found->second;
    const storage::Class klass = loan.terms().queue->klass;
    Turns& turns = turns_of(klass);
    turns.push_back({id, klass, {}});
    flows_.emplace(id, std::prev(turns.end()));
    return turns.back();
}

void ReadyQueue::push(Loan loan) {
    Flow& flow = flow_of(loan);
    flow.loans.push_back(std::move(loan));
    ++size_;
}

void ReadyQueue::push_front(Loan loan) {
    Flow& flow = flow_of(loan);
    flow.loans.push_front(std::move(loan));
    ++size_;
}

void ReadyQueue::drop_if_empty(Turns& turns, Turns::iterator flow) {
    if (!flow->loans.empty()) return;
    flows_.erase(flow->id);
    turns.erase(flow);
}

std::optional<Loan> ReadyQueue::pop() {
    if (size_ == 0) return std::nullopt;
    const bool bulk_is_owed = transactional_run_ >= transactional_in_a_row && !bulk_.empty();
    const bool take_bulk = transactional_.empty() || bulk_is_owed;
    transactional_run_ = take_bulk ? 0 : transactional_run_ + 1;
    Turns& turns = take_bulk ? bulk_ : transactional_;
    const auto flow = turns.begin();
    Loan loan = std::move(flow->loans.front());
    flow->loans.pop_front();
    --size_;
    turns.splice(turns.end(), turns, flow);  // its turn is over
    drop_if_empty(turns, flow);
    return loan;
}

std::optional<Loan> ReadyQueue::pop_same_job(const Loan& first) {
    const auto found = flows_.find(first.terms().delivery.queue);
    if (found == flows_.end()) return std::nullopt;
    const auto flow = found->second;
    if (flow->loans.front().terms().delivery.id.job != first.terms().delivery.id.job)
        return std::nullopt;
    Loan loan = std::move(flow->loans.front());
    flow->loans.pop_front();
    --size_;
    drop_if_empty(turns_of(flow->klass), flow);
    return loan;
}

std::deque<Loan> ReadyQueue::take_all() {
    std::deque<Loan> all;
    while (auto loan = pop()) all.push_back(std::move(*loan));
    return all;
}

}  // namespace engine
