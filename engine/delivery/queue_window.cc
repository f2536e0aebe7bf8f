#include "engine/delivery/queue_window.h"

#include <algorithm>
#include <limits>
#include <unordered_set>

#include "metrics/check.h"

namespace engine {

using storage::DeliveryKey;

DeliveryKey before(DeliveryKey key) {
    if (key.id.index > 0) {
        --key.id.index;
        return key;
    }
    key.id.index = std::numeric_limits<uint32_t>::max();
    const auto job = static_cast<uint64_t>(key.id.job);
    if (job > 0) {
        key.id.job = storage::JobId{job - 1};
        return key;
    }
    key.id.job = storage::JobId{std::numeric_limits<uint64_t>::max()};
    key.due -= std::chrono::milliseconds(1);
    return key;
}

QueueWindow QueueWindow::from_disk(storage::QueueId id, InWindows& all) {
    QueueWindow window(all);
    window.cursor_ = DeliveryKey{id, WallTime{}, {storage::JobId{0}, 0}};
    return window;
}

size_t QueueWindow::bytes_of(const storage::Delivery& delivery) {
    constexpr size_t node = sizeof(Window::value_type) + 4 * sizeof(void*);
    const size_t inside = std::string().capacity();
    size_t bytes = node;
    for (const std::string* text :
         {&delivery.recipient, &delivery.vars, &delivery.meta, &delivery.orcpt})
        if (text->capacity() > inside) bytes += text->capacity();
    return bytes;
}

void QueueWindow::add(Waiting waiting) {
    const size_t bytes = bytes_of(waiting.delivery);
    const Place place{waiting.delivery.due, waiting.delivery.id};
    if (!window_.try_emplace(place, std::move(waiting)).second) return;
    ++all_->count;
    all_->bytes += bytes;
}

Waiting QueueWindow::remove(Window::iterator at) {
    --all_->count;
    all_->bytes -= bytes_of(at->second.delivery);
    Waiting waiting = std::move(at->second);
    window_.erase(at);
    return waiting;
}

void QueueWindow::leave_last() {
    const Waiting last = remove(std::prev(window_.end()));
    leave_on_disk(storage::key_of(last.delivery));
}

void QueueWindow::leave_on_disk(const DeliveryKey& key) {
    if (!cursor_ || before(key) < *cursor_) cursor_ = before(key);
    if (refill_from_ && (!least_passed_ || key < *least_passed_)) least_passed_ = key;
}

bool QueueWindow::place(Waiting waiting, size_t limit) {
    const DeliveryKey key = storage::key_of(waiting.delivery);
    const Place place{key.due, key.id};
    const bool beyond_cursor = cursor_ && key > *cursor_;
    const bool behind_full_window =
        window_.size() >= limit && (window_.empty() || place > window_.rbegin()->first);
    if (beyond_cursor || behind_full_window) {
        leave_on_disk(key);
        return false;
    }
    if (window_.size() >= limit) leave_last();
    add(std::move(waiting));
    return true;
}

std::optional<Waiting> QueueWindow::take(const DeliveryKey& key) {
    const auto found = window_.find(Place{key.due, key.id});
    if (found == window_.end()) return std::nullopt;
    return remove(found);
}

void QueueWindow::leave_all() {
    if (window_.empty()) return;
    leave_on_disk(storage::key_of(window_.begin()->second.delivery));
    while (!window_.empty()) remove(window_.begin());
}

DeliveryKey QueueWindow::begin_refill() {
    CHECK(cursor_ && !refill_from_, "a refill of a queue with nothing on disk, or a second one");
    refill_from_ = cursor_;
    least_passed_.reset();
    return *cursor_;
}

void QueueWindow::end_refill(std::vector<Waiting> rows, std::optional<DeliveryKey> read_upto) {
    CHECK(refill_from_, "a refill ended that was not begun");
    const bool cursor_moved_back = cursor_ != refill_from_;
    refill_from_.reset();
    if (cursor_moved_back) return;  // what was read does not follow what is here: read again
    if (least_passed_ && (!read_upto || before(*least_passed_) < *read_upto))
        read_upto = before(*least_passed_);
    for (Waiting& row : rows) {
        const DeliveryKey key = storage::key_of(row.delivery);
        if (read_upto && key > *read_upto) break;
        add(std::move(row));
    }
    cursor_ = read_upto;
}

std::vector<Waiting> QueueWindow::take_due(WallTime now, size_t count) {
    std::vector<Waiting> taken;
    while (!window_.empty() && taken.size() < count) {
        const auto first = window_.begin();
        if (first->first.first > now || !first->second.job) break;
        taken.push_back(remove(first));
    }
    return taken;
}

void QueueWindow::loaded(const Jobs& jobs) {
    size_t still_to_see = jobs.size();
    std::unordered_set<storage::JobId> seen;
    for (auto& [place, waiting] : window_) {
        if (waiting.job) continue;
        const storage::JobId job = waiting.delivery.id.job;
        const auto found = jobs.find(job);
        if (found == jobs.end()) {
            // Of what lies behind it nothing can be sent before it; a campaign of single mails
            // would walk over the whole window for each few of them.
            if (still_to_see == 0) return;
            continue;
        }
        waiting.job = found->second;
        if (still_to_see > 0 && seen.insert(job).second) --still_to_see;
    }
}

std::vector<storage::JobId> QueueWindow::jobs_missing(size_t count) const {
    std::vector<storage::JobId> jobs;
    std::unordered_set<storage::JobId> seen;
    for (const auto& [place, waiting] : window_) {
        if (jobs.size() >= count) break;
        const storage::JobId job = waiting.delivery.id.job;
        if (!waiting.job && seen.insert(job).second) jobs.push_back(job);
    }
    return jobs;
}

std::vector<Waiting> QueueWindow::take_expired(WallTime now) {
    std::vector<Waiting> taken;
    for (auto next = window_.begin(); next != window_.end();) {
        const auto one = next++;
        if (one->second.delivery.expires > now) continue;
        taken.push_back(remove(one));
    }
    return taken;
}

std::optional<storage::WallTime> QueueWindow::first_expiry() const {
    std::optional<WallTime> first;
    for (const auto& [place, waiting] : window_)
        if (!first || waiting.delivery.expires < *first) first = waiting.delivery.expires;
    return first;
}

void QueueWindow::rest(size_t limit) {
    while (window_.size() > limit) leave_last();
    for (auto& [place, waiting] : window_) waiting.job = nullptr;
}

std::optional<storage::WallTime> QueueWindow::next_due() const {
    if (!window_.empty()) return window_.begin()->first.first;
    if (cursor_) return cursor_->due;  // all rows on disk lie above it
    return std::nullopt;
}

}  // namespace engine
