// Cancellations: mail that must not be sent any more. Each is a durable mark with a point in time,
// which takes effect at once; the rows that it covers are ended behind it, and when none is left
// the mark goes. An immutable set that all shards share; orders.h says how it changes.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/delivery/suspensions.h"

namespace engine {

struct Cancellation {
    OrderId id{};
    Reach reach;  // of queues and deliveries; no provider, site or source
    std::string reason;
    storage::WallTime since{};
    // What it covers was committed no later than these: `boot`, and by shard the last commit group
    // that had begun. Exact, whatever the clock does. Of a job it covers what is still to come,
    // too.
    uint32_t boot = 0;
    std::vector<uint64_t> groups;

    /// Whether mail with this mark had been accepted when the order came.
    bool came_before(const storage::AcceptMark& mark) const;
    bool covers(const storage::QueueInfo& queue, const storage::Delivery& delivery) const;
};

class Cancellations {
  public:
    explicit Cancellations(std::vector<Cancellation> list);

    bool empty() const { return list_.empty(); }
    const std::vector<Cancellation>& list() const { return list_; }
    /// The one that ends this delivery; null: none.
    const Cancellation* of(const storage::QueueInfo& queue,
                           const storage::Delivery& delivery) const;
    /// Whether deliveries of this queue may be covered.
    bool touches(const storage::QueueInfo& queue) const;

  private:
    std::vector<Cancellation> list_;
    ReachIndex whole_queues_;  // those that name neither recipient nor job
    ReachIndex in_queues_;     // where the others' deliveries may be
    std::unordered_map<storage::JobId, std::vector<size_t>> by_job_;
    std::unordered_map<std::string, std::vector<size_t>> by_recipient_;
};

std::string encode(const Cancellation& cancellation);  // without id
std::optional<Cancellation> decode_cancellation(OrderId id, std::string_view bytes);

}  // namespace engine
