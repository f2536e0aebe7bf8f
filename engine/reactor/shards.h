// Shards: how one shard speaks to another. Each pair has a bounded single-producer ring; what a shard sends in one
// turn is flushed once at its end, in order, and the receiver is woken only when it sleeps.
#pragma once

#include <coroutine>
#include <functional>
#include <memory>
#include <vector>

#include "engine/reactor/reactor.h"
#include "engine/reactor/task.h"

namespace engine {

using ShardId = uint16_t;

/// One shard's end of the mailboxes.
class Post {
  public:
    virtual ~Post() = default;
    virtual ShardId self() const = 0;
    virtual ShardId count() const = 0;
    /// Runs `work` on shard `to` in a later turn, in the order of sending. To itself too: never inside send().
    /// Never fails: when the ring is full it waits here, in order. What bounds it are the senders' credits.
    virtual void send(ShardId to, std::move_only_function<void()> work) = 0;
    virtual size_t waiting() const = 0;  // not yet in a ring
};

}  // namespace engine
