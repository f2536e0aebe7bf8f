#include "engine/delivery/cancellations.h"

#include "engine/reactor/shards.h"

namespace engine {

namespace {
constexpr uint8_t version = 1;
constexpr size_t shards_max = 4096;  // of one record; more is no record of ours
}  // namespace

bool Cancellation::came_before(const storage::AcceptMark& mark) const {
    if (reach.job || mark.boot < boot) return true;
    if (mark.boot > boot) return false;
    return mark.shard < groups.size() && mark.group <= groups[mark.shard];
}

bool Cancellation::covers(const storage::QueueInfo& queue,
                          const storage::Delivery& delivery) const {
    return reach.of_queue(queue) && reach.of_delivery(delivery) && came_before(delivery.mark);
}

Cancellations::Cancellations(std::vector<Cancellation> list) : list_(std::move(list)) {
    for (size_t place = 0; place < list_.size(); ++place) {
        const Reach& reach = list_[place].reach;
        (reach.names_delivery() ? in_queues_ : whole_queues_).add(reach, place);
        if (reach.job)
            by_job_[*reach.job].push_back(place);
        else if (reach.recipient)
            by_recipient_[*reach.recipient].push_back(place);
    }
}

const Cancellation* Cancellations::of(const storage::QueueInfo& queue,
                                      const storage::Delivery& delivery) const {
    if (list_.empty()) return nullptr;
    const Cancellation* found = nullptr;
    const auto judge = [&](size_t place) {
        if (list_[place].covers(queue, delivery)) found = &list_[place];
        return found != nullptr;
    };
    const auto among = [&](const std::vector<size_t>& places) {
        for (const size_t place : places)
            if (judge(place)) return;
    };
    if (whole_queues_.any(queue, judge)) return found;
    if (const auto job = by_job_.find(delivery.id.job); job != by_job_.end()) among(job->second);
    if (found || by_recipient_.empty()) return found;
    const auto recipient = by_recipient_.find(mailbox_key(delivery.recipient));
    if (recipient != by_recipient_.end()) among(recipient->second);
    return found;
}

bool Cancellations::touches(const storage::QueueInfo& queue) const {
    const auto judge = [&](size_t place) { return list_[place].reach.of_queue(queue); };
    return whole_queues_.any(queue, judge) || in_queues_.any(queue, judge);
}

std::string encode(const Cancellation& cancellation) {
    storage::Writer out;
    out.byte(version);
    write_reach(out, cancellation.reach);
    out.string(cancellation.reason);
    out.time(cancellation.since);
    out.varint(cancellation.boot);
    out.varint(cancellation.groups.size());
    for (const uint64_t group : cancellation.groups) out.varint(group);
    return out.take();
}

std::optional<Cancellation> decode_cancellation(OrderId id, std::string_view bytes) {
    storage::Reader in(bytes);
    if (in.byte() != version) return std::nullopt;
    Cancellation cancellation{.id = id, .reach = read_reach(in)};
    cancellation.reason = in.string();
    cancellation.since = in.time();
    cancellation.boot = in.varint32();
    const uint64_t shards = in.varint();
    if (shards > shards_max) in.fail();
    for (uint64_t i = 0; i < shards && !in.failed(); ++i)
        cancellation.groups.push_back(in.varint());
    return in.finished() ? std::optional(std::move(cancellation)) : std::nullopt;
}

}  // namespace engine
