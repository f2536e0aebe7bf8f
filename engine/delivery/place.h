// Which shard keeps what has a name: a domain's queues, a site, the count of a total.
#pragma once

#include <functional>
#include <string_view>

#include "engine/reactor/shards.h"

namespace engine {

inline ShardId place_of(std::string_view name, ShardId shards) {
    return static_cast<ShardId>(std::hash<std::string_view>{}(name) % shards);
}

}  // namespace engine
