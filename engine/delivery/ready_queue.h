// ReadyQueue: the loans that wait at a site for a connection. Flows (one per queue) take turns, so
// a small campaign is not stuck behind a large one; transactional mail goes first, within a bound
// that keeps bulk from starving. Bounded by the credits that homes lend within.
#pragma once

#include <deque>
#include <list>
#include <optional>
#include <unordered_map>

#include "engine/delivery/loan.h"

namespace engine {

class ReadyQueue {
  public:
    static constexpr unsigned transactional_in_a_row = 4;  // then bulk gets one turn if it waits

    void push(Loan loan);
    /// In front of its flow: it had its turn and was not judged.
    void push_front(Loan loan);
    std::optional<Loan> pop();
    /// The next loan of the same flow if it is of this job: it may ride in the same transaction.
    std::optional<Loan> pop_same_job(const Loan& first);
    std::deque<Loan> take_all();

    size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }

  private:
    struct Flow {
        storage::QueueId id;
        storage::Class klass;
        std::deque<Loan> loans;
    };
    using Turns = std::list<Flow>;
    Turns& turns_of(storage::Class klass);
    Flow& flow_of(const Loan& loan);
    void drop_if_empty(Turns& turns, Turns::iterator flow);

    Turns transactional_, bulk_;  // flows with at least one loan, in order of their turns
    std::unordered_map<storage::QueueId, Turns::iterator> flows_;
    unsigned transactional_run_ = 0;
    size_t size_ = 0;
};

}  // namespace engine
