// A bounded queue from many threads to many, without locks: each slot's turn says whether it is to
// be filled or taken next.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <memory>
#include <utility>

namespace engine {

template <class T>
class MpmcRing {
  public:
    /// Holds at least `capacity` values.
    explicit MpmcRing(size_t capacity)
        : size_(std::bit_ceil(capacity < 2 ? size_t{2} : capacity)),
          slots_(std::make_unique<Slot[]>(size_)) {
        for (size_t i = 0; i < size_; ++i) slots_[i].turn.store(i, std::memory_order_relaxed);
    }

    /// False when full.
    bool push(T value) {
        size_t at = tail_.load(std::memory_order_relaxed);
        for (;;) {
            Slot& slot = slots_[at & (size_ - 1)];
            const size_t turn = slot.turn.load(std::memory_order_acquire);
            if (turn == at) {
                if (!tail_.compare_exchange_weak(at, at + 1, std::memory_order_relaxed)) continue;
                slot.value = std::move(value);
                slot.turn.store(at + 1, std::memory_order_release);
                return true;
            }
            if (turn < at) return false;  // still holds the value of the lap before
            at = tail_.load(std::memory_order_relaxed);
        }
    }
    /// False when empty, or when the next value is being put in just now: whoever puts it in is to
    /// wake a taker after that.
    bool pop(T& value) {
        size_t at = head_.load(std::memory_order_relaxed);
        for (;;) {
            Slot& slot = slots_[at & (size_ - 1)];
            const size_t turn = slot.turn.load(std::memory_order_acquire);
            if (turn == at + 1) {
                if (!head_.compare_exchange_weak(at, at + 1, std::memory_order_relaxed)) continue;
                value = std::exchange(slot.value, T{});
                slot.turn.store(at + size_, std::memory_order_release);
                return true;
            }
            if (turn < at + 1) return false;
            at = head_.load(std::memory_order_relaxed);
        }
    }
    /// A moment's view.
    bool empty() const {
        const size_t at = head_.load(std::memory_order_relaxed);
        return slots_[at & (size_ - 1)].turn.load(std::memory_order_acquire) != at + 1;
    }

  private:
    static constexpr size_t cache_line = 64;
    struct Slot {
        std::atomic<size_t> turn{0};
        T value{};
    };

    const size_t size_;
    const std::unique_ptr<Slot[]> slots_;
    alignas(cache_line) std::atomic<size_t> head_{0};
    alignas(cache_line) std::atomic<size_t> tail_{0};
};

}  // namespace engine
