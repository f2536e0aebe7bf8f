#include "engine/reactor/timer_wheel.h"

#include <algorithm>
#include <bit>

#include "metrics/check.h"

namespace engine {

namespace {
constexpr std::chrono::nanoseconds tick_length = 1ms;

void make_empty(TimerNode& head) {
    head.previous = head.next = &head;
}
bool is_empty(const TimerNode& head) {
    return head.next == &head;
}

void append(TimerNode& head, TimerNode& node) {
    node.previous = head.previous;
    node.next = &head;
    head.previous->next = &node;
    head.previous = &node;
}

void unlink(TimerNode& node) {
    node.previous->next = node.next;
    node.next->previous = node.previous;
    node.previous = node.next = nullptr;
}
}  // namespace

TimerWheel::TimerWheel(Instant start) : start_(start) {
    for (auto& level : wheel_) {
        for (TimerNode& head : level) make_empty(head);
    }
    make_empty(due_);
}

void TimerWheel::add(TimerNode& node, Instant deadline) {
    CHECK(!node.armed(), "a timer was armed twice");
    // 42 bits of milliseconds are 139 years; what is later than that never expires anyway.
    constexpr uint64_t tick_max = (uint64_t{1} << (level_bits * levels)) - 1;
    const auto distance = deadline <= start_ ? 0ns : deadline - start_;
    const auto whole = static_cast<uint64_t>(distance / tick_length);
    node.tick = std::min(whole + (distance % tick_length > 0ns ? 1 : 0), tick_max);
    place(node);
    ++count_;
}

void TimerWheel::remove(TimerNode& node) {
    if (!node.armed()) return;
    TimerNode* head = node.previous == node.next ? node.previous : nullptr;
    unlink(node);
    --count_;
    // The last of its slot: an occupied bit that stays set would wake the reactor for nothing.
    TimerNode* first = &wheel_[0][0];
    if (head != nullptr && head >= first && head < first + levels * slots) {
        const auto index = static_cast<uint64_t>(head - first);
        occupied_[index / slots] &= ~(uint64_t{1} << (index % slots));
    }
}

Instant TimerWheel::next_expiry() const {
    if (!is_empty(due_)) return start_ + tick_length * static_cast<int64_t>(tick_);
    Slot next;
    if (!find_next(next)) return Instant::max();
    return start_ + tick_length * static_cast<int64_t>(next.first_tick);
}

TimerNode* TimerWheel::advance(Instant now) {
    const uint64_t target = now <= start_ ? 0 : static_cast<uint64_t>((now - start_) / tick_length);
    for (Slot next; find_next(next) && next.first_tick <= target;) {
        tick_ = next.first_tick;
        occupied_[next.level] &= ~(uint64_t{1} << next.index);
        // Seen from the new tick_, every node of the slot is due or belongs to a lower level.
        for (TimerNode& head = wheel_[next.level][next.index]; !is_empty(head);) {
            TimerNode& node = *head.next;
            unlink(node);
            place(node);
        }
    }
    tick_ = std::max(tick_, target);

    TimerNode* chain = nullptr;
    for (TimerNode** last = &chain; !is_empty(due_);) {
        TimerNode& node = *due_.next;
        unlink(node);
        --count_;
        *last = &node;
        last = &node.next;
    }
    return chain;
}

bool TimerWheel::find_next(Slot& next) const {
    // A node stands on the level of the highest digit in which its tick differs from tick_. So its
    // slot is ahead of tick_'s digit there, and whatever stands on a lower level comes earlier.
    for (int level = 0; level < levels; ++level) {
        if (occupied_[level] == 0) continue;
        const int shift = level * level_bits;
        next.level = level;
        next.index = static_cast<uint64_t>(std::countr_zero(occupied_[level]));
        next.first_tick = (tick_ >> shift >> level_bits << level_bits | next.index) << shift;
        return true;
    }
    return false;
}

void TimerWheel::place(TimerNode& node) {
    if (node.tick <= tick_) {
        append(due_, node);
        return;
    }
    const int level = (std::bit_width(node.tick ^ tick_) - 1) / level_bits;
    const uint64_t index = node.tick >> (level * level_bits) & (slots - 1);
    append(wheel_[level][index], node);
    occupied_[level] |= uint64_t{1} << index;
}

}  // namespace engine
