#include "ingest/idempotency.h"

#include <functional>
#include <utility>

#include "metrics/check.h"

namespace ingest {

using engine::ShardId;
using engine::Task;

/// One question to the key's home. It lives in the frame of acquire(), which waits until the answer
/// came.
struct KeyLease::Ask {
    enum class Answer : uint8_t { held, other_body, busy, again };

    IdempotencyKeys& keys;
    engine::Post& post;
    ShardId home;
    const std::string& name;
    const std::string& digest;
    Answer answer = Answer::held;
    std::coroutine_handle<> waiter;

    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) {
        waiter = handle;
        post.send(home, [this] { decide(); });
    }
    Answer await_resume() const noexcept { return answer; }

    /// On the home shard. `name` and `digest` are only read there; the asker sleeps.
    void decide() {
        auto& table = keys.tables_[home];
        const auto [entry, fresh] = table.held.try_emplace(name);
        if (fresh) {
            entry->second.digest = digest;
            return reply(Answer::held);
        }
        if (entry->second.digest != digest) return reply(Answer::other_body);
        if (entry->second.waiters.size() >= IdempotencyKeys::waiters_max)
            return reply(Answer::busy);
        entry->second.waiters.emplace_back([this] { reply(Answer::again); });
    }
    void reply(Answer what) {
        answer = what;
        keys.tables_[home].post->send(post.self(), [this] { waiter.resume(); });
    }
};

Task<KeyLease::Result> KeyLease::acquire(std::string tenant, std::string key, std::string digest) {
    CHECK(!held_, "a lease was acquired twice");
    name_ = std::move(tenant);
    name_ += '\0';  // no tenant and no key can hold it
    name_ += key;
    home_ = static_cast<ShardId>(std::hash<std::string>{}(name_) % post_.count());
    while (true) {
        Ask ask{keys_, post_, home_, name_, digest};
        switch (co_await ask) {
            case Ask::Answer::held:
                held_ = true;
                co_return Result::held;
            case Ask::Answer::other_body:
                co_return Result::other_body;
            case Ask::Answer::busy:
                co_return Result::busy;
            case Ask::Answer::again:
                break;  // the other one ended: its answer is in the store, or the key is free
        }
    }
}

KeyLease::~KeyLease() {
    if (!held_) return;
    IdempotencyKeys* keys = &keys_;
    post_.send(home_, [keys, home = home_, name = std::move(name_)] {
        auto& table = keys->tables_[home];
        const auto entry = table.held.find(name);
        CHECK(entry != table.held.end(), "a key was given back that nobody held");
        auto waiters = std::move(entry->second.waiters);
        table.held.erase(entry);
        for (auto& waiter : waiters) waiter();
    });
}

Task<PastUse> reserve_key(KeyLease* lease, KeyDesk desk, storage::IdempotencyRecord wanted,
                          storage::WallTime now) {
    using Kind = PastUse::Kind;
    const auto leased = co_await lease->acquire(wanted.tenant, wanted.key, wanted.digest);
    if (leased == KeyLease::Result::other_body) co_return PastUse{Kind::other_body, {}};
    if (leased == KeyLease::Result::busy) co_return PastUse{Kind::busy, {}};
    // Under the lease nobody else decides about the key.
    storage::Result<std::optional<storage::IdempotencyRecord>> found;
    co_await desk.worker.run(
        [&] { found = desk.store.idempotency(wanted.tenant, wanted.key, now); });
    if (!found) co_return PastUse{Kind::failed, found.error().what};
    if (!*found) co_return PastUse{};
    if ((*found)->digest != wanted.digest) co_return PastUse{Kind::other_body, {}};
    co_return PastUse{Kind::same, std::move((*found)->answer)};
}

}  // namespace ingest
