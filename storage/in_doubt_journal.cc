#include "storage/in_doubt_journal.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "metrics/check.h"

namespace storage {

namespace {

constexpr uint32_t slot_layout = 1;

/// Tells a slot that was written whole from one that was not, and from what a broken disk gives
/// back. Never 0.
uint64_t seal_of(const InDoubtJournal::Slot& slot) {
    uint64_t hash = 0x736c756963652121;
    const auto mix = [&hash](uint64_t word) {
        hash = (hash ^ word) * 0x9e3779b97f4a7c15;
        hash ^= hash >> 32;
    };
    mix(slot.queue_high);
    mix(slot.queue_low);
    mix(static_cast<uint64_t>(slot.due_ms));
    mix(slot.job);
    mix(uint64_t{slot.index} << 32 | slot.attempts);
    mix(static_cast<uint64_t>(slot.since_ms));
    mix(uint64_t{slot.boot} << 32 | slot.layout);
    return hash == 0 ? 1 : hash;
}

WallTime at(int64_t ms) {
    return WallTime{std::chrono::milliseconds(ms)};
}

}  // namespace

void InDoubtMark::clear() {
    InDoubtJournal* const journal = std::exchange(journal_, nullptr);
    if (journal == nullptr) return;
    journal->slots_[slot_].seal.store(0, std::memory_order_release);
    journal->cleared_.fetch_add(1, std::memory_order_release);
}

InDoubtJournal::InDoubtJournal(std::span<Slot> slots, uint32_t boot)
    : slots_(slots), boot_(boot), span_(std::min(span_least, slots.size())) {
    CHECK(std::has_single_bit(slots.size()), "the slots of a journal are a power of two");
}

/// Slots are free again soon and in no order, so the next one round is nearly always free.
InDoubtJournal::Slot& InDoubtJournal::next_free() {
    for (size_t looked = 0;; ++looked) {
        Slot& slot = slots_[cursor_++ & (span_ - 1)];
        if (slot.seal.load(std::memory_order_acquire) == 0) return slot;
        if (looked < probes_max || span_ == slots_.size()) continue;
        cursor_ = span_;  // the half that is added
        span_ *= 2;
        looked = 0;
    }
}

InDoubtMark InDoubtJournal::put(const Delivery& delivery, WallTime now) {
    CHECK(held() < slots_.size(), "more deliveries are in doubt than the journal has slots");
    Slot& slot = next_free();
    slot.queue_high = delivery.queue.high;
    slot.queue_low = delivery.queue.low;
    slot.due_ms = delivery.due.time_since_epoch().count();
    slot.job = static_cast<uint64_t>(delivery.id.job);
    slot.index = delivery.id.index;
    slot.attempts = delivery.attempts;
    slot.since_ms = now.time_since_epoch().count();
    slot.boot = boot_;
    slot.layout = slot_layout;
    slot.seal.store(seal_of(slot), std::memory_order_release);
    ++put_;
    return {*this, static_cast<uint32_t>(&slot - slots_.data())};
}

InDoubtLeft read_slots(std::span<const InDoubtJournal::Slot> slots) {
    InDoubtLeft left;
    for (const InDoubtJournal::Slot& slot : slots) {
        const uint64_t seal = slot.seal.load(std::memory_order_acquire);
        if (seal == 0) continue;
        if (seal != seal_of(slot) || slot.layout != slot_layout) {
            ++left.damaged;
            continue;
        }
        left.entries.push_back({.key = {.queue = {slot.queue_high, slot.queue_low},
                                        .due = at(slot.due_ms),
                                        .id = {JobId{slot.job}, slot.index}},
                                .attempts = slot.attempts,
                                .since = at(slot.since_ms)});
    }
    std::ranges::sort(left.entries);
    return left;
}

}  // namespace storage
