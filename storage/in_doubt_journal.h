// InDoubtJournal: which deliveries are between the last octet of their content and the commit of
// their outcome. When the process dies there, nobody can tell whether the receiver has the mail
// (RFC 1047); this says of which deliveries that is so.
//
// Slots in memory that a file backs (in_doubt_files.h): the page cache outlives kill -9, so a slot
// costs a few stores, no system call and no sync. One shard puts, any thread clears.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "storage/types.h"

namespace storage {

/// One delivery that was in doubt when the process before ended.
struct InDoubt {
    DeliveryKey key;        // of the row as the attempt found it
    uint32_t attempts = 0;  // before this one: a row that counts more has an outcome already
    WallTime since{};
    auto operator<=>(const InDoubt&) const = default;
};

class InDoubtJournal;

/// A slot that is taken. Whoever has made the outcome durable clears it, and nobody else: one that
/// is dropped stays in the journal, because what it says stays true.
class InDoubtMark {
  public:
    InDoubtMark() = default;
    InDoubtMark(InDoubtJournal& journal, uint32_t slot) : journal_(&journal), slot_(slot) {}
    explicit operator bool() const { return journal_ != nullptr; }
    /// Any thread. A second time does nothing.
    void clear();

  private:
    InDoubtJournal* journal_ = nullptr;
    uint32_t slot_ = 0;
};

class InDoubtJournal {
  public:
    /// A cache line, so none lies across a page or a sector. `seal` is 0 in a free slot, else the
    /// checksum of the rest, and is stored last: a slot whose writing was cut short is free.
    struct alignas(64) Slot {
        std::atomic<uint64_t> seal;
        uint64_t queue_high, queue_low;
        int64_t due_ms;
        uint64_t job;
        uint32_t index, attempts;
        int64_t since_ms;
        uint32_t boot, layout;
    };
    static_assert(sizeof(Slot) == 64);

    /// Deliveries of one shard's connections that may be in doubt at a time; beyond them its
    /// connections wait. 20,000 connections with three recipients each.
    static constexpr size_t slots_max = 65'536;

    /// `slots`: a power of two of them, all free; they outlive this.
    InDoubtJournal(std::span<Slot> slots, uint32_t boot);

    /// Whether `count` more find a slot. What is reserved counts as taken until it is given back.
    bool has_room(size_t count) const { return held() + reserved_ + count <= slots_.size(); }
    void reserve(size_t count) { reserved_ += count; }
    void give_back(size_t count) { reserved_ -= count; }
    /// Before the last octet of its content is written. Within what was reserved.
    InDoubtMark put(const Delivery& delivery, WallTime now);
    size_t held() const { return put_ - cleared_.load(std::memory_order_acquire); }

  private:
    friend class InDoubtMark;
    static constexpr size_t span_least = 1'024;  // 64 KiB: what a shard touches that is not busy
    static constexpr size_t probes_max = 16;     // then more slots are used

    Slot& next_free();

    std::span<Slot> slots_;
    uint32_t boot_;
    size_t span_;  // slots in use; more only when these are full, so few pages are dirtied
    size_t cursor_ = 0;
    size_t put_ = 0, reserved_ = 0;
    std::atomic<size_t> cleared_{0};
};

/// What the slots of an earlier process say. `damaged`: taken ones whose checksum does not hold.
struct InDoubtLeft {
    std::vector<InDoubt> entries;
    size_t damaged = 0;
};
InDoubtLeft read_slots(std::span<const InDoubtJournal::Slot> slots);

}  // namespace storage
