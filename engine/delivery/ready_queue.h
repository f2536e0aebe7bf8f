// ReadyQueue: the loans that wait at a site for a connection. Tenants take turns by weight, then
// the campaigns of a tenant, then a campaign's queues, so nobody is stuck behind who has more;
// transactional mail goes first, within a bound that keeps bulk from starving. Bounded by the
// credits that homes lend within.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/delivery/fair_order.h"
#include "engine/delivery/loan.h"

namespace engine {

class ReadyQueue {
  public:
    /// Transactional mail goes first until it has had `transactional_run_max` turns that bulk
    /// waited for; each turn of bulk makes up for `transactional_per_bulk` of them. So a burst
    /// overtakes whatever waits, and a flood gets four turns of five.
    static constexpr unsigned transactional_run_max = 200;
    static constexpr unsigned transactional_per_bulk = 4;
    using WeightOf = std::function<double(const std::string& tenant)>;
    using IsLimited = std::function<bool(const std::string& tenant)>;

    /// Asked when a tenant comes, and after a reload. Without `weight_of` all are equal; without
    /// `is_limited` nobody is.
    struct Tenancy {
        WeightOf weight_of;
        IsLimited is_limited;
    };
    explicit ReadyQueue(std::shared_ptr<const Tenancy> tenancy) : tenancy_(std::move(tenancy)) {}
    explicit ReadyQueue(WeightOf weight_of = {}, IsLimited is_limited = {})
        : ReadyQueue(std::make_shared<const Tenancy>(std::move(weight_of), std::move(is_limited))) {
    }

    void push(Loan loan);
    /// In front of its queue: it had its turn and was not judged.
    void push_front(Loan loan);
    std::optional<Loan> pop();
    /// The next loan of the same queue if it is of this job: it may ride in the same transaction,
    /// admitted or not. It counts against its tenant and campaign like any other.
    std::optional<Loan> pop_same_job(const Loan& first);
    std::deque<Loan> take_all();
    /// Of what waits, everything of which `judge` says yes.
    std::vector<Loan> take_if(const std::function<bool(const Loan&)>& judge);

    /// A reload may have changed who is limited. Returns those whose mail is held now.
    std::vector<std::string> look_at_limits();

    /// Whether something of such a queue waits.
    bool has(const std::function<bool(const storage::QueueInfo&)>& judge) const;

    /// Nothing waits, and has not for a moment: who owed a turn to others owes nothing any more
    /// (1.2 KiB of a site at rest).
    void forget_turns();

    size_t size() const { return sizes_[0] + sizes_[1]; }  // that may be popped
    bool empty() const { return size() == 0; }

    // Of a tenant with a limit of its own only what is admitted may be popped.
    size_t held() const { return held_; }  // that may not yet
    size_t held(const std::string& tenant);
    size_t admitted(const std::string& tenant);
    /// One more; a transactional one first. It is held again if it comes back to the front.
    void admit(const std::string& tenant);
    /// Admissions, by tenant, that have come to nothing since the last call: what they were for
    /// went home, or rode along with another.
    std::map<std::string, size_t> take_unused() {
        return lines_ ? std::exchange(lines_->unused, {}) : std::map<std::string, size_t>();
    }

  private:
    struct Flow {
        storage::QueueId id;
        std::deque<Loan> loans;
    };
    struct Campaign {
        std::list<Flow> flows;  // with at least one loan, in order of their turns
        bool empty() const { return flows.empty(); }
    };
    struct Tenant {
        FairOrder<Campaign> campaigns;
        size_t flows = 0, loans = 0;
        bool limited = false;
        size_t admitted = 0;  // of the loans, when it is limited
        bool empty() const { return flows == 0; }
        size_t may_go() const { return limited ? admitted : loans; }
    };
    using Tenants = FairOrder<Tenant>;
    struct Place {
        Tenants* side;
        Tenants::Entry* tenant;
        FairOrder<Campaign>::Entry* campaign;
        std::list<Flow>::iterator flow;
    };
    /// Who waits, and who owes turns.
    struct Lines {
        std::array<Tenants, 2> sides;  // by class: transactional, bulk
        std::map<std::string, size_t> unused;
        std::unordered_map<storage::QueueId, Place> flows;
        unsigned transactional_run = 0;  // turns that bulk has waited for
    };
    Lines& lines();
    Flow& flow_of(const Loan& loan);
    void look_at_limit(Tenants::Entry& tenant, storage::Class klass);
    /// While it lives the counts of a tenant may be changed.
    class Counted {
      public:
        Counted(ReadyQueue& queue, storage::Class klass, Tenants::Entry& tenant);
        Counted(const Counted&) = delete;
        Counted& operator=(const Counted&) = delete;
        ~Counted();

      private:
        ReadyQueue& queue_;
        size_t side_;
        const std::string& name_;
        Tenant& tenant_;
    };
    std::deque<Loan>& loans_for(const Loan& loan);
    enum class Rides : uint8_t { no, yes };  // with the one before, in its transaction
    Loan take(const Place& place, Rides rides);
    std::optional<Loan> pop_from(Tenants& side);

    std::shared_ptr<const Tenancy> tenancy_;
    std::unique_ptr<Lines> lines_;   // null: nobody waits, and nobody owes a turn
    std::array<size_t, 2> sizes_{};  // that may be popped
    size_t held_ = 0;
};

}  // namespace engine
