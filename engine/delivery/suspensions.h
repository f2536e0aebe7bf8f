// Suspensions: mail that an operator holds back for a while, or sends another way. An immutable
// set that all shards share; orders.h says how it changes.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/delivery/reach.h"
#include "engine/dns/resolver.h"

namespace engine {

/// Names a suspension or a cancellation; made as a job's id is, and shown as one.
using OrderId = storage::JobId;

struct Suspension {
    OrderId id{};
    Reach reach;  // no recipient and no job
    std::string reason;
    storage::WallTime since{};
    std::optional<storage::WallTime> until;  // nullopt: until somebody ends it
    std::vector<std::string> route;  // hosts as in [[domain]] route; empty: the mail is held

    bool holds() const { return route.empty(); }
};

class Suspensions {
  public:
    /// `port`: of hosts that name none.
    Suspensions(std::vector<Suspension> list, uint16_t port);

    bool empty() const { return list_.empty(); }
    const std::vector<Suspension>& list() const { return list_; }
    const Suspension* find(OrderId id) const;
    /// The route of one that sends mail another way.
    const std::shared_ptr<const Route>& route_of(const Suspension& suspension) const;

    /// What is ordered for all mail of a queue, wherever it goes; one that holds goes before one
    /// that leads away. Null: nothing.
    const Suspension* of_queue(const storage::QueueInfo& queue) const;
    /// The same with what names a provider or a site.
    const Suspension* on_way(const storage::QueueInfo& queue, std::string_view provider,
                             std::string_view site) const;
    bool source_held(std::string_view source) const;

  private:
    template <class Covers>
    const Suspension* first(const storage::QueueInfo& queue, Covers covers) const;

    std::vector<Suspension> list_;
    std::vector<std::shared_ptr<const Route>> routes_;  // by place; null for those that hold
    std::unordered_map<OrderId, size_t> by_id_;
    ReachIndex index_;
};

/// Whether a site is one of a suspension's route: the recipient domain's own settings are for its
/// own hosts.
bool is_detour(std::string_view site);

std::string encode(const Suspension& suspension);  // without id
std::optional<Suspension> decode_suspension(OrderId id, std::string_view bytes);

}  // namespace engine
