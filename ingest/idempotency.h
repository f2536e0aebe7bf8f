// Idempotency keys: two requests with one key must not both store. A key is reserved on the shard
// hash(tenant, key), by message and without a lock; what earlier requests with it answered is in
// the store.
#pragma once

#include <chrono>
#include <coroutine>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/reactor/shards.h"
#include "engine/reactor/task.h"
#include "engine/reactor/worker.h"
#include "storage/store.h"

namespace ingest {

/// One for the whole daemon. Each element is touched on its own shard only.
class IdempotencyKeys {
  public:
    static constexpr size_t waiters_max =
        64;  // requests that wait for one key; the next is told to come again

    explicit IdempotencyKeys(engine::ShardId shards) : tables_(shards) {}
    /// Before any request, by each shard: how its part answers the others.
    void attach(engine::Post& post) { tables_[post.self()].post = &post; }

  private:
    friend class KeyLease;
    struct Entry {
        std::string digest;
        std::vector<std::move_only_function<void()>> waiters;
    };
    struct Table {
        engine::Post* post = nullptr;
        std::unordered_map<std::string, Entry> held;
    };
    std::vector<Table> tables_;
};

/// The right to use a key, given back when it dies. Lives on the shard of its request.
class KeyLease {
  public:
    enum class Result : uint8_t {
        held,        // ours; look into the store whether an earlier request used it
        other_body,  // a request with the same key and another body is in hand
        busy         // too many wait for it
    };
    KeyLease(IdempotencyKeys& keys, engine::Post& post) : keys_(keys), post_(post) {}
    KeyLease(const KeyLease&) = delete;
    KeyLease& operator=(const KeyLease&) = delete;
    ~KeyLease();
    /// Waits while a request with the same key and body is in hand. Once per lease.
    engine::Task<Result> acquire(std::string tenant, std::string key, std::string digest);

  private:
    struct Ask;
    IdempotencyKeys& keys_;
    engine::Post& post_;
    engine::ShardId home_ = 0;
    std::string name_;
    bool held_ = false;
};

/// How long a key is remembered.
inline constexpr std::chrono::hours idempotency_kept{24};

/// What a shard needs to use keys. Everything outlives it.
struct KeyDesk {
    IdempotencyKeys& keys;
    engine::Post& post;
    engine::Worker& worker;  // for reads of the store
    storage::Store& store;
};

/// What became of a key before.
struct PastUse {
    enum class Kind : uint8_t {
        none,        // ours now: store the record together with the job, while the lease is held
        same,        // `text` is what was answered then
        other_body,  // it was used, or is being used, for something else
        busy,        // too many wait for it
        failed       // the store cannot be read; `text` says why
    };
    Kind kind = Kind::none;
    std::string text;
};

/// Reserves the key for `lease` and looks it up. Once per lease.
engine::Task<PastUse> reserve_key(KeyLease* lease, KeyDesk desk, storage::IdempotencyRecord wanted,
                                  storage::WallTime now);

}  // namespace ingest
