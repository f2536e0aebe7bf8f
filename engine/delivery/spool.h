// Spool: group commit. One commit per shard is in flight on its storage worker; whatever arrives
// meanwhile is the next group. Nobody is answered before the log is synced, and who waits for an
// answer never waits for company. Outcomes, for which nobody waits, may do so for a moment.
#pragma once

#include <deque>
#include <functional>
#include <vector>

#include "engine/delivery/intake.h"
#include "engine/delivery/loan.h"
#include "engine/reactor/scope.h"
#include "engine/reactor/signal.h"
#include "engine/reactor/worker.h"
#include "metrics/metric.h"
#include "storage/store.h"

namespace engine {

/// What the spool reports to after each commit; on the shard, before the waiters resume.
class SpoolListener {
  public:
    virtual ~SpoolListener() = default;
    /// New deliveries of one commit group, to be announced to their homes in one message each.
    virtual void accepted(uint64_t group, std::vector<Arrival> arrivals) = 0;
    virtual void events_readable(uint64_t upto) = 0;
};

class Spool {
  public:
    static constexpr size_t group_records_max =
        20'000;  // rows of one group; more wait for the next
    static constexpr size_t pending_records_max = 200'000;  // above it has_room() is false
    /// From the end of a commit to the next one of outcomes alone, unless there are that many.
    static constexpr auto company_wait = std::chrono::milliseconds(1);
    static constexpr size_t company_records = 256;

    Spool(Reactor& reactor, Worker& worker, storage::Store& store, ShardId shard,
          SpoolListener& listener, metrics::Registry& metrics);

    /// Resumes when the batch is synced. On an error nothing of it is kept, nor of what waited
    /// behind it.
    Task<storage::Result<void>> commit(storage::Batch batch);
    /// The same for new deliveries: batch.puts are announced to their homes as arrivals.
    /// `origins[i]` belongs to batch.puts[i].
    struct Origin {
        std::shared_ptr<const JobInfo> job;
        std::shared_ptr<const storage::QueueInfo> queue;
    };
    /// Of `jobs` those of a failed commit are marked refused at once, before anything else can add
    /// to them.
    Task<storage::Result<void>> accept(storage::Batch batch, std::vector<Origin> origins,
                                       std::vector<std::shared_ptr<OpenJob>> jobs);

    /// The same for outcomes: a few of them soon behind a commit wait up to company_wait for more,
    /// or for whatever else is committed. What is in `batch` comes back to it, but for the puts
    /// that were announced.
    Task<storage::Result<void>> record(storage::Batch* batch, std::vector<Origin> origins);

    /// Waits until less than pending_records_max rows wait. Only ingest asks: outcomes must always
    /// find room.
    Task<> room();
    size_t pending_records() const { return pending_records_; }
    /// Commit groups so far, the one in flight included. What was answered is in one of them.
    uint64_t groups_begun() const { return group_; }
    /// Until that group is announced or refused.
    Task<> passed(uint64_t group);
    /// Until what was given so far is committed and announced, or refused.
    Task<> settled();
    bool idle() const { return !running_ && pending_.empty(); }
    /// Until everything given so far is committed or refused.
    Task<> flush();

  private:
    struct Item {
        storage::Batch batch;
        std::vector<Origin> origins;
        std::vector<std::shared_ptr<OpenJob>> jobs;
        bool urgent = true;
        size_t records = 0;
        storage::Result<void> result{};
        std::coroutine_handle<> waiter;
    };
    struct Enqueued;
    Task<storage::Result<void>> enqueue(Item item);
    std::vector<Item*> next_group();
    Task<> run();
    bool wants_company() const { return urgent_ == 0 && pending_records_ < company_records; }
    Task<> company();
    void announce(std::vector<Item*>& group, std::vector<storage::Batch>& batches);
    void refuse(Item& item, const storage::Error& error);

    Reactor& reactor_;
    Worker& worker_;
    storage::Store& store_;
    ShardId shard_;
    SpoolListener& listener_;
    std::deque<Item*> pending_;  // items live in the frames of their waiters
    size_t pending_records_ = 0;
    size_t urgent_ = 0;  // items of pending_
    uint64_t group_ = 0, group_done_ = 0;
    uint64_t given_ = 0, ended_ = 0;  // items
    bool running_ = false;
    Signal changed_;                     // a group ended
    Signal enough_;                      // outcomes need not wait any longer
    Instant last_end_ = Instant::min();  // of a commit
    Scope scope_;
    metrics::Histogram& commit_seconds_;
    metrics::Histogram& commit_records_;
};

}  // namespace engine
