#include "engine/reactor/exchange.h"

#include <atomic>
#include <deque>

#include "engine/reactor/spsc_ring.h"
#include "metrics/check.h"

namespace engine {

namespace {
using Work = std::move_only_function<void()>;
}

struct Exchange::Lane {
    explicit Lane(size_t capacity) : ring(capacity) {}
    SpscRing<Work> ring;
    std::atomic<bool> sender_waits{false};  // for room: the receiver must wake it
};

class Exchange::Mailbox final : public Post, public Source {
  public:
    Mailbox(Exchange& exchange, ShardId self)
        : exchange_(exchange), self_(self), outboxes_(exchange.shards_) {}

    ShardId self() const override { return self_; }
    ShardId count() const override { return exchange_.shards_; }

    void send(ShardId to, Work work) override {
        CHECK(to < count(), "a message to a shard that does not exist");
        outboxes_[to].push_back(std::move(work));
        ++waiting_;
    }
    size_t waiting() const override { return waiting_; }

    bool drain() override {
        const bool any = receive();
        flush();
        return any;
    }

    bool pending() const override {
        if (!outboxes_[self_].empty()) return true;
        for (ShardId other = 0; other < count(); ++other) {
            if (other == self_) continue;
            if (!exchange_.lane(other, self_).ring.empty()) return true;
            if (!outboxes_[other].empty() && !exchange_.lane(self_, other).ring.full()) return true;
        }
        return false;
    }

  private:
    bool receive() {
        bool any = false;
        for (ShardId from = 0; from < count(); ++from) {
            any = (from == self_ ? receive_own() : receive_from(from)) || any;
        }
        return any;
    }

    bool receive_own() {
        if (outboxes_[self_].empty()) return false;
        // What this work sends in turn runs in a later turn.
        std::deque<Work> now = std::exchange(outboxes_[self_], {});
        waiting_ -= now.size();
        for (Work& work : now) work();
        return !now.empty();
    }

    bool receive_from(ShardId from) {
        Lane& lane = exchange_.lane(from, self_);
        size_t left =
            lane.ring.capacity();  // a sender that is faster than us must not hold the turn
        bool any = false;
        for (Work work; left > 0 && lane.ring.pop(work); --left) {
            work();
            any = true;
        }
        if (!any) return false;
        std::atomic_thread_fence(std::memory_order_seq_cst);
        if (lane.sender_waits.load(std::memory_order_relaxed)) {
            lane.sender_waits.store(false, std::memory_order_relaxed);
            exchange_.reactors_[from]->wake();
        }
        return true;
    }

    void flush() {
        for (ShardId to = 0; to < count(); ++to) {
            if (to == self_ || outboxes_[to].empty()) continue;
            Lane& lane = exchange_.lane(self_, to);
            bool any = push_all(lane, outboxes_[to]);
            if (!outboxes_[to].empty()) {
                // Say that we wait, then look again: the receiver frees room first and looks for
                // this flag then.
                lane.sender_waits.store(true, std::memory_order_relaxed);
                std::atomic_thread_fence(std::memory_order_seq_cst);
                any = push_all(lane, outboxes_[to]) || any;
            }
            if (any) exchange_.reactors_[to]->wake();
        }
    }

    bool push_all(Lane& lane, std::deque<Work>& outbox) {
        bool any = false;
        while (!outbox.empty() && lane.ring.push(outbox.front())) {
            outbox.pop_front();
            --waiting_;
            any = true;
        }
        return any;
    }

    Exchange& exchange_;
    const ShardId self_;
    std::vector<std::deque<Work>> outboxes_;  // by receiver; the own one is the way to itself
    size_t waiting_ = 0;
};

Exchange::Exchange(ShardId shards, size_t ring_capacity) : shards_(shards), reactors_(shards) {
    CHECK(shards > 0 && ring_capacity > 0, "an exchange of nothing");
    for (size_t i = 0; i < size_t{shards} * shards; ++i) {
        // The diagonal is never used.
        lanes_.push_back(i % (shards + 1U) == 0 ? nullptr : std::make_unique<Lane>(ring_capacity));
    }
    for (ShardId i = 0; i < shards; ++i) mailboxes_.push_back(std::make_unique<Mailbox>(*this, i));
}

Exchange::~Exchange() = default;

Post& Exchange::post(ShardId shard) {
    CHECK(shard < shards_, "no such shard");
    return *mailboxes_[shard];
}

void Exchange::attach(ShardId shard, Reactor& reactor) {
    CHECK(shard < shards_ && reactors_[shard] == nullptr, "a shard was attached twice");
    reactors_[shard] = &reactor;
    reactor.add_source(*mailboxes_[shard]);
}

Exchange::Lane& Exchange::lane(ShardId from, ShardId to) {
    return *lanes_[size_t{from} * shards_ + to];
}

}  // namespace engine
