#include "engine/delivery/orders.h"

#include <algorithm>
#include <stdexcept>

#include "engine/delivery/delivery_shard.h"
#include "engine/reactor/call.h"
#include "metrics/catalog.h"
#include "metrics/log.h"
#include "storage/ids.h"

namespace engine {

namespace {

constexpr std::string_view suspension_kind = "suspension", cancellation_kind = "cancellation";
constexpr auto look_every = std::chrono::seconds(1);
constexpr size_t count_rows = 4'000;  // in one read

template <class Order>
std::vector<Order> read_all(storage::Store& store, std::string_view kind, size_t most,
                            std::optional<Order> (*decode)(OrderId, std::string_view)) {
    std::vector<Order> found;
    // An operator has said that this mail must wait or go no further: better no start than without.
    const auto notes = store.notes(kind, "", most);
    if (!notes) throw std::runtime_error(notes.error().what);
    for (const storage::Note& note : *notes) {
        const auto id = storage::parse_job_id(note.name);
        auto order = id ? decode(*id, note.value) : std::nullopt;
        if (order)
            found.push_back(std::move(*order));
        else
            metrics::log::error("order.unreadable", {{"kind", kind}, {"name", note.name}});
    }
    return found;
}

std::string text_of(const std::optional<storage::WallTime>& until) {
    return until ? std::to_string(until->time_since_epoch().count()) : "";
}

}  // namespace

/// Changes are made one at a time.
class Orders::Turn {
  public:
    explicit Turn(Orders& orders) : orders_(orders) { orders_.changing_ = true; }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() {
        orders_.changing_ = false;
        orders_.changed_.notify_all();
    }

  private:
    Orders& orders_;
};

Task<> Orders::turn() {
    while (changing_) co_await changed_.wait();
}

Orders::Orders(OrdersParts parts)
    : parts_(parts),
      suspensions_(std::make_shared<const Suspensions>(
          read_all<Suspension>(parts_.store, suspension_kind, suspensions_max, decode_suspension),
          parts_.port)),
      cancellations_(std::make_shared<const Cancellations>(read_all<Cancellation>(
          parts_.store, cancellation_kind, cancellations_max, decode_cancellation))),
      changed_(parts_.reactor) {}

void Orders::start() {
    if (parts_.post.self() != keeper) return;
    use(suspensions_);
    use(cancellations_);
    for (const Suspension& one : suspensions_->list())
        metrics::log::info("delivery.still_suspended", {{"suspension", storage::to_text(one.id)},
                                                        {"what", one.reach.words()},
                                                        {"reason", one.reason}});
}

Task<> Orders::stop() {
    stopping_ = true;
    changed_.notify_all();
    co_await scope_.join();
}

bool Orders::stops(const LoanTerms& terms, std::string_view provider, std::string_view site) const {
    const bool led = terms.via != OrderId{};
    if (led && !suspensions_->find(terms.via)) return true;
    if (const Suspension* order = suspensions_->on_way(*terms.queue, provider, site))
        if (order->holds() || !led) return true;
    return cancellations_->of(*terms.queue, terms.delivery) != nullptr;
}

void Orders::use(std::shared_ptr<const Suspensions> suspensions) {
    suspensions_ = std::move(suspensions);
    if (parts_.post.self() == keeper) watch();
}

void Orders::use(std::shared_ptr<const Cancellations> cancellations) {
    cancellations_ = std::move(cancellations);
    if (parts_.post.self() == keeper) watch();
}

/// On the keeper: what has to be looked after from now on.
void Orders::watch() {
    parts_.metrics.gauge(metrics::catalog::suspensions)
        .set(static_cast<double>(suspensions_->list().size()));
    parts_.metrics.gauge(metrics::catalog::cancellations_pending)
        .set(static_cast<double>(cancellations_->list().size()));
    const bool ends = std::ranges::any_of(
        suspensions_->list(), [](const Suspension& one) { return one.until.has_value(); });
    if (ends && !stopping_ && !std::exchange(watching_, true)) scope_.spawn(watch_ends());
    if (!cancellations_->empty() && !stopping_ && !std::exchange(clearing_, true))
        scope_.spawn(clear());
}

OrderId Orders::new_id() const {
    for (;;) {
        const OrderId id = parts_.shards[keeper]->intake().new_job_id();
        const bool taken =
            suspensions_->find(id) ||
            std::ranges::any_of(cancellations_->list(),
                                [&](const Cancellation& one) { return one.id == id; });
        if (!taken) return id;
    }
}

Task<storage::Result<void>> Orders::keep(std::string kind, OrderId id, std::string value) {
    const storage::Note note{storage::to_text(id), std::move(value)};
    storage::Result<void> kept;
    co_await parts_.worker.run([&] { kept = parts_.store.put_notes(kind, {&note, 1}); });
    co_return kept;
}

template <class Set>
Task<> Orders::spread(std::shared_ptr<const Set> set) {
    for (DeliveryShard* shard : parts_.shards)
        co_await call(parts_.post, shard->post(), [shard, set] { shard->obey(set); });
}

// ---- suspensions

Task<Ordered<Suspension>> Orders::suspend(Suspension order) {
    DeliveryShard* const shard = parts_.shards[keeper];
    co_return co_await call(parts_.post, shard->post(),
                            [shard, order = std::move(order)] [[clang::coro_wrapper]] {
                                return shard->orders().suspend_here(order);
                            });
}

Task<Ordered<Suspension>> Orders::suspend_here(Suspension order) {
    co_await turn();
    const Turn mine(*this);
    std::vector<Suspension> list = suspensions_->list();
    if (list.size() >= suspensions_max) {
        co_return std::unexpected(OrderRefusal{
            OrderRefusal::Why::too_many,
            "there are " + std::to_string(list.size()) + " suspensions; end some of them"});
    }
    order.id = new_id();
    order.since = parts_.reactor.wall();
    const auto kept = co_await keep(std::string(suspension_kind), order.id, encode(order));
    if (!kept)
        co_return std::unexpected(OrderRefusal{OrderRefusal::Why::storage, kept.error().what});
    list.push_back(order);
    co_await spread(std::make_shared<const Suspensions>(std::move(list), parts_.port));
    metrics::log::info(order.holds() ? "delivery.suspended" : "delivery.rerouted",
                       {{"suspension", storage::to_text(order.id)},
                        {"what", order.reach.words()},
                        {"reason", order.reason},
                        {"until_ms", text_of(order.until)}});
    co_return order;
}

Task<Ordered<Suspension>> Orders::resume(OrderId id) {
    DeliveryShard* const shard = parts_.shards[keeper];
    co_return co_await call(parts_.post, shard->post(), [shard, id] [[clang::coro_wrapper]] {
        return shard->orders().resume_here(id);
    });
}

Task<Ordered<Suspension>> Orders::resume_here(OrderId id) {
    co_await turn();
    const Turn mine(*this);
    const Suspension* const found = suspensions_->find(id);
    if (!found)
        co_return std::unexpected(
            OrderRefusal{OrderRefusal::Why::unknown, "there is no such suspension"});
    const Suspension ended = *found;
    const auto kept = co_await keep(std::string(suspension_kind), id, {});
    if (!kept)
        co_return std::unexpected(OrderRefusal{OrderRefusal::Why::storage, kept.error().what});
    std::vector<Suspension> list = suspensions_->list();
    std::erase_if(list, [&](const Suspension& one) { return one.id == id; });
    co_await spread(std::make_shared<const Suspensions>(std::move(list), parts_.port));
    metrics::log::info("delivery.resumed", {{"suspension", storage::to_text(id)},
                                            {"what", ended.reach.words()},
                                            {"reason", ended.reason}});
    co_return ended;
}

/// Ends those whose time is over, by the wall clock: a jump of it ends them early or late.
Task<> Orders::watch_ends() {
    for (;;) {
        const storage::WallTime now = parts_.reactor.wall();
        bool wait_for_more = false;
        std::vector<OrderId> over;
        for (const Suspension& one : suspensions_->list()) {
            if (!one.until) continue;
            wait_for_more = true;
            if (*one.until <= now) over.push_back(one.id);
        }
        if (!wait_for_more || stopping_) break;
        for (const OrderId id : over)
            if (auto ended = co_await resume_here(id); !ended)
                metrics::log::error("order.failed", {{"error", ended.error().words}});
        co_await changed_.wait_until(parts_.reactor.now() + look_every);
    }
    watching_ = false;
}

// ---- cancellations

Task<Ordered<Cancellation>> Orders::cancel(Reach reach, std::string reason) {
    DeliveryShard* const shard = parts_.shards[keeper];
    co_return co_await call(
        parts_.post, shard->post(),
        [shard, reach = std::move(reach), reason = std::move(reason)] [[clang::coro_wrapper]] {
            return shard->orders().cancel_here(reach, reason);
        });
}

/// A job's mail is in the queues of its tenant, campaign and class.
Task<Ordered<Reach>> Orders::whole(Reach reach) {
    if (!reach.job) co_return reach;
    storage::Result<std::optional<storage::JobStatus>> row;
    co_await parts_.worker.run([&] { row = parts_.store.job(*reach.job); });
    if (!row) co_return std::unexpected(OrderRefusal{OrderRefusal::Why::storage, row.error().what});
    const bool known = *row && (!reach.tenant || *reach.tenant == (*row)->job.tenant);
    if (!known)
        co_return std::unexpected(OrderRefusal{OrderRefusal::Why::unknown, "there is no such job"});
    reach.tenant = (*row)->job.tenant;
    reach.campaign = (*row)->job.campaign;
    reach.klass = (*row)->job.klass;
    co_return reach;
}

Task<Ordered<Cancellation>> Orders::cancel_here(Reach reach, std::string reason) {
    auto known = co_await whole(std::move(reach));
    if (!known) co_return std::unexpected(known.error());
    co_await turn();
    const Turn mine(*this);
    std::vector<Cancellation> list = cancellations_->list();
    if (list.size() >= cancellations_max) {
        co_return std::unexpected(
            OrderRefusal{OrderRefusal::Why::too_many,
                         "too many cancellations are still at work; try again in a moment"});
    }
    Cancellation order{.id = new_id(),
                       .reach = std::move(*known),
                       .reason = std::move(reason),
                       .since = parts_.reactor.wall(),
                       .boot = parts_.store.boot()};
    for (DeliveryShard* shard : parts_.shards)
        order.groups.push_back(co_await call(parts_.post, shard->post(),
                                             [shard] { return shard->spool().groups_begun(); }));
    const auto kept = co_await keep(std::string(cancellation_kind), order.id, encode(order));
    if (!kept)
        co_return std::unexpected(OrderRefusal{OrderRefusal::Why::storage, kept.error().what});
    list.push_back(order);
    co_await spread(std::make_shared<const Cancellations>(std::move(list)));
    metrics::log::info("delivery.cancelled", {{"cancellation", storage::to_text(order.id)},
                                              {"what", order.reach.words()},
                                              {"reason", order.reason}});
    co_return order;
}

/// A job that recipients still come to keeps its mark.
Task<std::vector<OrderId>> Orders::that_may_end() {
    std::vector<OrderId> ids;
    const auto set = cancellations_;
    co_await parts_.worker.run([&] {
        for (const Cancellation& one : set->list()) {
            if (one.reach.job) {
                const auto row = parts_.store.job(*one.reach.job);
                if (!row || (*row && !(*row)->complete)) continue;
            }
            ids.push_back(one.id);
        }
    });
    co_return ids;
}

Task<> Orders::forget(std::vector<OrderId> ids) {
    co_await turn();
    const Turn mine(*this);
    std::vector<storage::Note> notes;
    for (const OrderId id : ids) notes.push_back({storage::to_text(id), {}});
    storage::Result<void> kept;
    co_await parts_.worker.run([&] { kept = parts_.store.put_notes(cancellation_kind, notes); });
    if (!kept) {
        metrics::log::error("order.failed", {{"error", kept.error().what}});
        co_return;  // they stay in force, and are tried again
    }
    std::vector<Cancellation> list = cancellations_->list();
    std::erase_if(
        list, [&](const Cancellation& one) { return std::ranges::find(ids, one.id) != ids.end(); });
    co_await spread(std::make_shared<const Cancellations>(std::move(list)));
}

/// Takes away the marks behind which nothing is left. That is so when every home has walked its
/// rows since the mark came and has met none that it covers; and before, everything that had been
/// committed by then must have reached its home.
Task<> Orders::clear() {
    while (!cancellations_->empty() && !stopping_) {
        const std::vector<OrderId> ids = co_await that_may_end();
        bool clear = !ids.empty();
        if (clear)
            for (DeliveryShard* shard : parts_.shards)
                co_await call(parts_.post, shard->post(),
                              [shard] [[clang::coro_wrapper]] { return shard->announce_all(); });
        for (DeliveryShard* shard : parts_.shards)
            clear =
                clear && co_await call(parts_.post, shard->post(), [shard] [[clang::coro_wrapper]] {
                    return shard->home().rows_cleared();
                });
        if (clear && !stopping_) co_await forget(ids);
        if (!cancellations_->empty() && !stopping_)
            co_await changed_.wait_until(parts_.reactor.now() + look_every);
    }
    clearing_ = false;
}

// ---- what they come to

Task<storage::Result<uint64_t>> Orders::count(Reach reach, Worker* reads) {
    if (reach.job) {
        storage::Result<std::optional<storage::JobStatus>> row;
        co_await reads->run([&] { row = parts_.store.job(*reach.job); });
        if (!row) co_return std::unexpected(row.error());
        const bool its = *row && (!reach.tenant || *reach.tenant == (*row)->job.tenant);
        co_return its ? (*row)->counts.open() : 0;
    }
    uint64_t sum = 0;
    for (DeliveryShard* shard : parts_.shards) {
        const std::vector<storage::QueueId> queues = co_await call(
            parts_.post, shard->post(), [shard, reach] { return shard->home().queues_of(reach); });
        for (const storage::QueueId queue : queues) {
            storage::Result<uint64_t> counted = 0;
            std::optional<storage::DeliveryKey> after;
            if (!reach.recipient) {
                co_await reads->run([&] { counted = parts_.store.count_queue(queue); });
                if (!counted) co_return counted;
                sum += *counted;
                continue;
            }
            for (bool more = true; more;) {
                storage::Result<std::vector<storage::Delivery>> rows;
                co_await reads->run(
                    [&] { rows = parts_.store.read_queue(queue, after, count_rows); });
                if (!rows) co_return std::unexpected(rows.error());
                for (const storage::Delivery& row : *rows) sum += reach.of_delivery(row) ? 1 : 0;
                more = rows->size() == count_rows;
                if (more) after = storage::key_of(rows->back());
            }
        }
    }
    co_return sum;
}

Task<std::vector<SuspensionProgress>> Orders::suspensions_now() {
    std::vector<SuspensionProgress> all;
    for (const Suspension& one : suspensions_->list()) all.push_back({one, 0});
    for (DeliveryShard* shard : parts_.shards) {
        const auto held =
            co_await call(parts_.post, shard->post(), [shard] { return shard->home().held(); });
        for (SuspensionProgress& one : all)
            if (const auto found = held.find(one.order.id); found != held.end())
                one.held += found->second;
    }
    co_return all;
}

Task<std::vector<CancellationProgress>> Orders::cancellations_now() {
    std::vector<CancellationProgress> all;
    for (const Cancellation& one : cancellations_->list()) all.push_back({one, 0});
    for (DeliveryShard* shard : parts_.shards) {
        const auto ended = co_await call(parts_.post, shard->post(),
                                         [shard] { return shard->home().cancelled(); });
        for (CancellationProgress& one : all)
            if (const auto found = ended.find(one.order.id); found != ended.end())
                one.cancelled += found->second;
    }
    co_return all;
}

}  // namespace engine
