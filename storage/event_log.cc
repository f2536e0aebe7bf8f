#include "storage/event_log.h"

namespace storage {

EventLog::Ticket EventLog::begin(uint64_t count) {
    const std::lock_guard lock(mutex_);
    const Ticket ticket{.first = next_, .count = count, .turn = ++turn_};
    next_ += count;
    if (count > 0) open_.emplace(ticket.first, Range{});
    return ticket;
}

uint64_t EventLog::committed(const Ticket& ticket) {
    const std::lock_guard lock(mutex_);
    if (ticket.count > 0) open_.erase(ticket.first);
    std::erase_if(open_, [&](const auto& entry) {
        return entry.second.failed && entry.second.failed_turn < ticket.turn;
    });
    return readable_locked();
}

void EventLog::failed(const Ticket& ticket) {
    const std::lock_guard lock(mutex_);
    if (ticket.count > 0) open_[ticket.first] = Range{.failed = true, .failed_turn = turn_};
}

uint64_t EventLog::readable() const {
    const std::lock_guard lock(mutex_);
    return readable_locked();
}

}  // namespace storage
