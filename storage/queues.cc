// Queues as the disk has them: which there are, what stands in one, and how their rows go.
#include <algorithm>

#include "storage/errors.h"
#include "storage/keys.h"
#include "storage/patient.h"
#include "storage/range.h"
#include "storage/records.h"
#include "storage/state.h"

namespace storage {

namespace {
constexpr size_t reserve_max = 4096;  // rows that a caller's limit makes room for beforehand
}

Result<std::vector<std::pair<QueueId, QueueInfo>>> Store::queues() {
    std::vector<std::pair<QueueId, QueueInfo>> found;
    const auto gaps = read_patiently(*state_->db, state_->family(Family::queue), Family::queue,
                                     [&](std::string_view key, std::string_view value) {
                                         const auto id = parse_queue_key(key);
                                         auto info = read_queue_info(value);
                                         if (id && info)
                                             found.emplace_back(*id, std::move(*info));
                                         else
                                             state_->tell_unreadable(Family::queue,
                                                                     bad_record("queue", key).what);
                                     });
    for (const Gap& gap : gaps) state_->tell_unreadable(Family::queue, gap.why);
    return found;
}

Result<bool> Store::drop_queues(std::span<const QueueId> ids) {
    // Alone with the rows: a commit that writes one together with its first delivery comes wholly
    // before the look or wholly behind the deletion.
    const std::unique_lock alone(state_->queue_rows, std::try_to_lock);
    if (!alone) return false;
    rocksdb::WriteBatch batch;
    for (const QueueId id : ids) {
        const std::string key = queue_key(id);
        // With a bound: behind an empty queue may stand the tombstones of many others.
        const Range rows(*state_->db, state_->family(Family::delivery), key, behind_prefix(key),
                         Range::Caching::pass_through);
        if (rows.status().IsCorruption()) {  // what waits behind it is not known: the row stays
            state_->tell_unreadable(Family::delivery, rows.status().ToString());
            continue;
        }
        if (!rows.status().ok())
            return std::unexpected(state_->error(rows.status(), "look for empty queues"));
        if (!rows.valid()) batch.Delete(state_->family(Family::queue), key);
    }
    if (batch.Count() == 0) return true;
    if (auto done = state_->write(batch, "delete empty queues"); !done)
        return std::unexpected(done.error());
    return true;
}

Result<std::vector<Delivery>> Store::read_queue(QueueId queue, std::optional<DeliveryKey> after,
                                                size_t limit) {
    const std::string prefix = queue_key(queue);
    const std::string end = behind_prefix(prefix);
    std::string begin = after ? delivery_key(*after) : prefix;
    std::string last = after ? begin : "";  // no row up to here is wanted
    std::vector<Delivery> found;
    found.reserve(std::min(limit, reserve_max));
    while (true) {
        Range rows(*state_->db, state_->family(Family::delivery), begin, end);
        if (rows.valid() && rows.key() == last) rows.next();
        for (; rows.valid() && found.size() < limit; rows.next()) {
            last = rows.key();
            const auto key = parse_delivery_key(last);
            auto delivery = key ? read_delivery(*key, rows.value()) : std::nullopt;
            if (delivery)
                found.push_back(std::move(*delivery));
            else
                state_->tell_unreadable(Family::delivery, bad_record("delivery", last).what);
        }
        const rocksdb::Status status = rows.status();
        if (status.ok() || found.size() >= limit) return found;
        if (!status.IsCorruption()) return std::unexpected(state_->error(status, "read a queue"));
        state_->tell_unreadable(Family::delivery, status.ToString());
        begin = readable_from(*state_->db, state_->family(Family::delivery), std::max(begin, last),
                              end);
        if (begin == end) return found;
    }
}

Result<std::optional<Delivery>> Store::delivery(const DeliveryKey& key) {
    const std::string row = delivery_key(key);
    std::string bytes;
    const auto status = state_->db->Get({}, state_->family(Family::delivery), row, &bytes);
    if (status.IsNotFound()) return std::nullopt;
    if (!status.ok()) return std::unexpected(state_->error(status, "read a delivery"));
    auto delivery = read_delivery(key, bytes);
    if (!delivery) return std::unexpected(bad_record("delivery", row));
    return delivery;
}

Result<std::optional<QueueInfo>> Store::queue(QueueId id) {
    const std::string row = queue_key(id);
    std::string bytes;
    const auto status = state_->db->Get({}, state_->family(Family::queue), row, &bytes);
    if (status.IsNotFound()) return std::nullopt;
    if (!status.ok()) return std::unexpected(state_->error(status, "read a queue's row"));
    auto info = read_queue_info(bytes);
    if (!info) return std::unexpected(bad_record("queue", row));
    return info;
}

Result<uint64_t> Store::count_queue(QueueId queue, uint64_t most) {
    const std::string prefix = queue_key(queue);
    Range rows(*state_->db, state_->family(Family::delivery), prefix, behind_prefix(prefix),
               Range::Caching::pass_through);
    uint64_t count = 0;
    for (; rows.valid() && count < most; rows.next()) ++count;
    if (!rows.status().ok()) return std::unexpected(state_->error(rows.status(), "count a queue"));
    return count;
}

}  // namespace storage
