// Exchange: the mailboxes between all shards of a process.
#pragma once

#include <memory>
#include <vector>

#include "engine/reactor/shards.h"

namespace engine {

class Exchange {
  public:
    static constexpr size_t ring_capacity_default =
        1024;  // messages under way from one shard to one other

    explicit Exchange(ShardId shards, size_t ring_capacity = ring_capacity_default);
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;
    /// After the last turn of every shard. What was not received is destroyed without being run.
    ~Exchange();

    /// Used by its own shard's thread only (self() and count() by any).
    Post& post(ShardId shard);
    /// All shards are attached before the first of them turns; the reactors live until the last has
    /// ended its turns.
    void attach(ShardId shard, Reactor& reactor);

  private:
    class Mailbox;
    struct Lane;  // from one shard to one other

    Lane& lane(ShardId from, ShardId to);

    const ShardId shards_;
    std::vector<std::unique_ptr<Lane>> lanes_;
    std::vector<std::unique_ptr<Mailbox>> mailboxes_;
    std::vector<Reactor*> reactors_;
};

}  // namespace engine
