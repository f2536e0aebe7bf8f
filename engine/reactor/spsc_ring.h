// A bounded queue from one thread to one other, without locks.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <utility>
#include <vector>

namespace engine {

template <class T>
class SpscRing {
  public:
    /// Holds at least `capacity` values.
    explicit SpscRing(size_t capacity) : slots_(std::bit_ceil(capacity)) {}

    /// Producer. False when full: the value stays with the caller.
    bool push(T& value) {
        const size_t tail = tail_.load(std::memory_order_relaxed);
        if (tail - head_seen_ == slots_.size()) {
            head_seen_ = head_.load(std::memory_order_acquire);
            if (tail - head_seen_ == slots_.size()) return false;
        }
        slots_[tail & (slots_.size() - 1)] = std::move(value);
        tail_.store(tail + 1, std::memory_order_release);
        return true;
    }
    /// Consumer. False when empty.
    bool pop(T& value) {
        const size_t head = head_.load(std::memory_order_relaxed);
        if (head == tail_seen_) {
            tail_seen_ = tail_.load(std::memory_order_acquire);
            if (head == tail_seen_) return false;
        }
        // Leaves nothing behind: what the value owns must not live on in the slot until the next
        // lap.
        value = std::exchange(slots_[head & (slots_.size() - 1)], T{});
        head_.store(head + 1, std::memory_order_release);
        return true;
    }
    /// Consumer. What a producer published before a fence that our own fence follows is seen.
    bool empty() const {
        return head_.load(std::memory_order_relaxed) == tail_.load(std::memory_order_acquire);
    }
    /// Producer.
    bool full() const {
        return tail_.load(std::memory_order_relaxed) - head_.load(std::memory_order_acquire) ==
               slots_.size();
    }
    size_t capacity() const { return slots_.size(); }

  private:
    static constexpr size_t cache_line = 64;

    std::vector<T> slots_;
    alignas(cache_line) std::atomic<size_t> head_{0};
    size_t tail_seen_ = 0;  // the consumer's copy: it asks the other side's line only when it must
    alignas(cache_line) std::atomic<size_t> tail_{0};
    size_t head_seen_ = 0;  // the producer's
};

}  // namespace engine
