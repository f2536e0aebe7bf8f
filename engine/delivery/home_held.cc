// What an operator says of deliveries that are held in doubt.
#include "engine/delivery/home.h"
#include "metrics/check.h"

namespace engine {

/// Reads the row on the worker that commits, so that it is as the last outcome left it.
Task<HeldSettled> Home::settle_held(Held held, HeldAnswer answer) {
    const storage::DeliveryId id = held.key.id;
    const auto found = queues_.find(held.key.queue);
    if (stopping_ || storage_failed_ || found == queues_.end() || lent_.contains(id))
        co_return HeldSettled::busy;
    Queue& owner = *found->second;
    // Lent to the operator, as it were: a refill leaves the row alone, and the queue stays.
    lent_.insert(id);
    ++owner.lent;
    owner.window.take(held.key);
    storage::Result<std::optional<storage::Delivery>> row;
    std::string sender;
    co_await parts_.worker.run([&, &store = parts_.store] {
        row = store.delivery(held.key);
        if (const auto job = store.job(id.job); job && *job) sender = (*job)->job.sender;
    });
    LoanTerms terms;
    terms.delivery.id = id;
    terms.delivery.queue = held.key.queue;
    terms.queue = owner.info;
    if (!row || !*row || (*row)->doubt != storage::Doubt::held) {
        release(terms);
        if (lent_.empty()) drained_.notify_all();
        // One that is there after all comes back from the disk.
        if (!row || *row) owner.window.leave(held.key);
        schedule(owner);
        forget_if_empty(owner);
        co_return row ? HeldSettled::gone : HeldSettled::failed;
    }
    terms.delivery = std::move(**row);
    std::vector<Decision> decisions;
    decisions.push_back(
        engine::settle_held(std::move(terms), answer, std::move(sender), parts_.reactor.wall()));
    co_await record(std::move(decisions));
    co_return HeldSettled::done;
}

}  // namespace engine
