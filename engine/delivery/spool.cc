#include "engine/delivery/spool.h"

#include "engine/reactor/yield.h"

#include <algorithm>

#include "metrics/catalog.h"

namespace engine {

namespace {
size_t records_of(const storage::Batch& batch) {
    return batch.jobs.size() + batch.queues.size() + batch.puts.size() + batch.removes.size() +
           batch.events.size() + batch.idempotency.size() + batch.job_ends.size() +
           batch.suppressions.size();
}
}  // namespace

Spool::Spool(Reactor& reactor, Worker& worker, storage::Store& store, ShardId shard,
             SpoolListener& listener, metrics::Registry& metrics)
    : reactor_(reactor),
      worker_(worker),
      store_(store),
      shard_(shard),
      listener_(listener),
      changed_(reactor),
      enough_(reactor),
      commit_seconds_(metrics.histogram(metrics::catalog::storage_commit_duration)),
      commit_records_(metrics.histogram(metrics::catalog::storage_commit_records)) {}

struct Spool::Enqueued {
    Spool& spool;
    Item& item;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) const {
        item.waiter = waiter;
        spool.pending_.push_back(&item);
        spool.pending_records_ += item.records;
        spool.urgent_ += item.urgent;
        ++spool.given_;
        if (!spool.wants_company()) spool.enough_.notify_all();
        if (spool.running_) return;
        spool.running_ = true;
        spool.scope_.spawn(spool.run());
    }
    void await_resume() const noexcept {}
};

Task<storage::Result<void>> Spool::enqueue(Item item) {
    item.records = records_of(item.batch);
    co_await Enqueued{*this, item};
    co_return std::move(item.result);
}

Task<storage::Result<void>> Spool::commit(storage::Batch batch) {
    co_return co_await enqueue({.batch = std::move(batch)});
}

Task<storage::Result<void>> Spool::accept(storage::Batch batch, std::vector<Origin> origins,
                                          std::vector<std::shared_ptr<OpenJob>> jobs) {
    co_return co_await enqueue(
        {.batch = std::move(batch), .origins = std::move(origins), .jobs = std::move(jobs)});
}

Task<storage::Result<void>> Spool::record(storage::Batch* batch, std::vector<Origin> origins) {
    Item item{.batch = std::move(*batch), .origins = std::move(origins), .urgent = false};
    item.records = records_of(item.batch);
    co_await Enqueued{*this, item};
    *batch = std::move(item.batch);
    co_return std::move(item.result);
}

Task<> Spool::room() {
    while (pending_records_ >= pending_records_max) co_await changed_.wait();
}

Task<> Spool::passed(uint64_t group) {
    while (group_done_ < group) co_await changed_.wait();
}

Task<> Spool::settled() {
    const uint64_t upto = given_;
    while (ended_ < upto) co_await changed_.wait();
}

Task<> Spool::flush() {
    while (!idle()) co_await changed_.wait();
    co_await scope_.join();
}

std::vector<Spool::Item*> Spool::next_group() {
    std::vector<Item*> group;
    size_t records = 0;
    while (!pending_.empty() &&
           (group.empty() || records + pending_.front()->records <= group_records_max)) {
        records += pending_.front()->records;
        urgent_ -= pending_.front()->urgent;
        group.push_back(pending_.front());
        pending_.pop_front();
    }
    pending_records_ -= records;
    return group;
}

/// A commit costs about as much for one mail as for ten. Where signatures or a rate bound what is
/// sent, outcomes come one by one, and each would have a commit of its own.
Task<> Spool::company() {
    const Instant until = last_end_ + company_wait;
    while (wants_company() && reactor_.now() < until) co_await enough_.wait_until(until);
}

Task<> Spool::run() {
    // What else is committed in this turn joins the first group.
    co_await yield(reactor_);
    while (!pending_.empty()) {
        co_await company();
        std::vector<Item*> group = next_group();
        std::vector<storage::Batch> batches;
        batches.reserve(group.size());
        size_t records = 0;
        for (Item* item : group) {
            batches.push_back(std::move(item->batch));
            records += item->records;
        }
        ++group_;
        storage::Result<storage::Committed> result;
        std::chrono::steady_clock::duration took{};
        co_await worker_.run([&] {
            const auto start = std::chrono::steady_clock::now();
            result = store_.commit(batches, shard_, group_);
            took = std::chrono::steady_clock::now() - start;
        });
        last_end_ = reactor_.now();
        const auto give_back = [&] {
            for (size_t i = 0; i < group.size(); ++i) group[i]->batch = std::move(batches[i]);
        };
        commit_seconds_.observe(std::chrono::duration<double>(took).count());
        commit_records_.observe(static_cast<double>(records));
        if (result) {
            announce(group, batches);
            give_back();
            listener_.events_readable(result->events_upto);
            for (Item* item : group) reactor_.post(item->waiter);
        } else {
            give_back();
            for (Item* item : group) refuse(*item, result.error());
            // A job's later part must not be kept when an earlier one was refused.
            ended_ += pending_.size();
            for (Item* item : std::exchange(pending_, {})) refuse(*item, result.error());
            pending_records_ = urgent_ = 0;
        }
        group_done_ = group_;
        ended_ += group.size();
        changed_.notify_all();
    }
    running_ = false;
    changed_.notify_all();
}

void Spool::refuse(Item& item, const storage::Error& error) {
    for (const std::shared_ptr<OpenJob>& job : item.jobs) job->refused = true;
    item.result = std::unexpected(error);
    reactor_.post(item.waiter);
}

void Spool::announce(std::vector<Item*>& group, std::vector<storage::Batch>& batches) {
    std::vector<Arrival> arrivals;
    for (size_t i = 0; i < group.size(); ++i) {
        std::vector<Origin>& origins = group[i]->origins;
        for (size_t d = 0; d < origins.size(); ++d) {
            // As the row on disk has it: a deferral writes it again, and cancellations ask for it.
            batches[i].puts[d].mark = {store_.boot(), shard_, group_};
            arrivals.push_back({std::move(batches[i].puts[d]), std::move(origins[d].job),
                                std::move(origins[d].queue)});
        }
    }
    if (!arrivals.empty()) listener_.accepted(group_, std::move(arrivals));
}

}  // namespace engine
