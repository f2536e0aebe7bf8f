// QueueWindow: the head of one queue in memory, a cursor into the rest of it on disk.
//
// The invariant that makes refilling exact: every row with a key at or below `cursor` is in the
// window, lent, or being committed; rows above it are on disk only. Without a cursor nothing is on
// disk only. So a refill reads from the cursor on, never over the tombstones of what has been sent,
// and a row is never taken twice.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "engine/delivery/job_info.h"
#include "storage/types.h"

namespace engine {

struct LastWord;

/// A delivery that waits in memory. `job` is null between a refill and the load of its content.
struct Waiting {
    storage::Delivery delivery;
    std::shared_ptr<const JobInfo> job;
    std::shared_ptr<const LastWord> last;
};

/// What the windows of a home hold together.
struct InWindows {
    size_t count = 0;
    size_t bytes = 0;  // contents apart
};

class QueueWindow {
  public:
    using WallTime = storage::WallTime;

    /// Counts what it holds in `all`, which outlives it.
    explicit QueueWindow(InWindows& all) : all_(&all) {}
    /// Nothing is known of the rows on disk: start-up.
    static QueueWindow from_disk(storage::QueueId id, InWindows& all);
    /// Memory of one that waits, its content apart, about.
    static size_t bytes_of(const storage::Delivery& delivery);

    /// Takes a delivery whose row is committed, or leaves it on disk: when its key lies beyond the
    /// cursor, or when the window holds `limit` and it is not earlier than what is there (then the
    /// last one goes back to disk for it). False: left on disk.
    bool place(Waiting waiting, size_t limit);
    /// Takes one out before its time; nullopt: it is not in the window.
    std::optional<Waiting> take(const storage::DeliveryKey& key);
    /// A row that is on disk and is to come back with a refill.
    void leave(const storage::DeliveryKey& key) { leave_on_disk(key); }
    /// A refill reads on disk from behind cursor(). One at a time.
    storage::DeliveryKey begin_refill();
    /// What it read, in order; the caller has left out those that are lent or not yet announced.
    /// `read_upto`: key of the last row read; nullopt: the end of the queue was reached. Rows that
    /// were left on disk meanwhile may be missing in the read, so the cursor stops before the least
    /// of them.
    void end_refill(std::vector<Waiting> rows, std::optional<storage::DeliveryKey> read_upto);
    bool refilling() const { return refill_from_.has_value(); }
    /// What is due, earliest first, at most `count`. Stops at one whose job is not loaded.
    std::vector<Waiting> take_due(WallTime now, size_t count);
    /// Gives the loaded jobs to what waits for them, up to the first behind them that waits for
    /// another.
    using Jobs = std::unordered_map<storage::JobId, std::shared_ptr<const JobInfo>>;
    void loaded(const Jobs& jobs);
    /// Of the earliest that have none, at most `count`.
    std::vector<storage::JobId> jobs_missing(size_t count) const;

    /// Calls visit(const storage::Delivery&) for all that are in memory, in due order.
    template <class Visit>
    void look(Visit visit) const {
        for (const auto& [place, waiting] : window_) visit(waiting.delivery);
    }

    /// Everything goes back to disk.
    void leave_all();

    /// Nothing is due before; of a queue whose head is on disk that may be a little early, and it
    /// is the epoch while nothing is known of the disk. nullopt: nothing waits.
    std::optional<WallTime> next_due() const;
    /// Takes out all whose time is over.
    std::vector<Waiting> take_expired(WallTime now);
    /// Of what is in the window; nullopt: it is empty.
    std::optional<WallTime> first_expiry() const;
    /// Keeps no more than `limit` in memory, the earliest, and none of their jobs: nothing is sent
    /// for a while.
    void rest(size_t limit);
    bool first_loaded() const { return !window_.empty() && window_.begin()->second.job; }
    const std::optional<storage::DeliveryKey>& cursor() const { return cursor_; }
    size_t size() const { return window_.size(); }
    bool empty() const { return window_.empty() && !cursor_ && !refill_from_; }

  private:
    using Place = std::pair<WallTime, storage::DeliveryId>;
    using Window = std::map<Place, Waiting>;
    void leave_on_disk(const storage::DeliveryKey& key);
    void add(Waiting waiting);
    Waiting remove(Window::iterator at);
    void leave_last();

    InWindows* all_;
    Window window_;
    std::optional<storage::DeliveryKey> cursor_;  // exclusive: rows above it are on disk only
    std::optional<storage::DeliveryKey> refill_from_;
    std::optional<storage::DeliveryKey>
        least_passed_;  // of the rows left on disk during the refill
};

/// The greatest key below `key`.
storage::DeliveryKey before(storage::DeliveryKey key);

}  // namespace engine
