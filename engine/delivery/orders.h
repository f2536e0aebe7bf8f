// Orders: what operators have ordered for mail that is under way, suspensions and cancellations.
// Kept in the store as notes, known to every shard as immutable sets. The first shard keeps them:
// every change is made there, one at a time, is durable before it takes effect, and has taken
// effect on all shards when the call returns.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "engine/delivery/cancellations.h"
#include "engine/delivery/loan.h"
#include "engine/delivery/suspensions.h"
#include "engine/reactor/scope.h"
#include "engine/reactor/shards.h"
#include "engine/reactor/signal.h"
#include "engine/reactor/worker.h"
#include "metrics/metric.h"
#include "storage/store.h"

namespace engine {

class DeliveryShard;

struct OrdersParts {
    Reactor& reactor;
    Post& post;
    Worker& worker;  // the shard's storage worker
    storage::Store& store;
    const std::vector<DeliveryShard*>& shards;
    uint16_t port;  // of hosts that a route names without one
    metrics::Registry& metrics;
};

/// Why an order is not taken.
struct OrderRefusal {
    enum class Why : uint8_t { too_many, unknown, storage };
    Why why{};
    std::string words;
};
template <class T>
using Ordered = std::expected<T, OrderRefusal>;

/// What a cancellation has come to.
struct CancellationProgress {
    Cancellation order;
    uint64_t cancelled = 0;  // deliveries that it has ended since the start of the daemon
};
/// What a suspension holds back now; of one that leads mail away nothing is held.
struct SuspensionProgress {
    Suspension order;
    uint64_t held = 0;
};

class Orders {
  public:
    static constexpr size_t suspensions_max = 1'000;
    static constexpr size_t cancellations_max = 10'000;  // whose rows are not all ended yet
    static constexpr ShardId keeper = 0;

    /// Reads what the store has; the daemon starts with it in force. Throws when it cannot be read:
    /// what operators have stopped must not go out because of that.
    explicit Orders(OrdersParts parts);

    void start();
    Task<> stop();

    const Suspensions& suspensions() const { return *suspensions_; }
    const Cancellations& cancellations() const { return *cancellations_; }
    /// Whether this loan must not be begun at that site: it is held, goes another way, or is
    /// cancelled. It goes home then, where that is seen to.
    bool stops(const LoanTerms& terms, std::string_view provider, std::string_view site) const;

    // From any shard. Ids and `since` are given here.
    Task<Ordered<Suspension>> suspend(Suspension order);
    Task<Ordered<Suspension>> resume(OrderId id);
    /// A job's tenant, campaign and class are looked up here.
    Task<Ordered<Cancellation>> cancel(Reach reach, std::string reason);

    /// Deliveries that have not ended and that `reach` is about, read on `reads`. Of a provider or
    /// a site those whose route is known now.
    Task<storage::Result<uint64_t>> count(Reach reach, Worker* reads);
    Task<std::vector<SuspensionProgress>> suspensions_now();
    Task<std::vector<CancellationProgress>> cancellations_now();

    /// On each shard, by the keeper.
    void use(std::shared_ptr<const Suspensions> suspensions);
    void use(std::shared_ptr<const Cancellations> cancellations);

  private:
    class Turn;
    Task<> turn();
    Task<Ordered<Suspension>> suspend_here(Suspension order);
    Task<Ordered<Suspension>> resume_here(OrderId id);
    Task<Ordered<Cancellation>> cancel_here(Reach reach, std::string reason);
    Task<Ordered<Reach>> whole(Reach reach);
    Task<storage::Result<void>> keep(std::string kind, OrderId id, std::string value);
    template <class Set>
    Task<> spread(std::shared_ptr<const Set> set);
    Task<> watch_ends();
    Task<> clear();
    Task<std::vector<OrderId>> that_may_end();
    Task<> forget(std::vector<OrderId> ids);
    OrderId new_id() const;
    void watch();

    OrdersParts parts_;
    std::shared_ptr<const Suspensions> suspensions_;
    std::shared_ptr<const Cancellations> cancellations_;
    bool changing_ = false;  // a change is under way
    bool watching_ = false, clearing_ = false;
    bool stopping_ = false;
    Signal changed_;
    Scope scope_;
};

}  // namespace engine
