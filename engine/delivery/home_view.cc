// What a home tells operators of its queues.
#include "engine/delivery/home.h"
#include "engine/reactor/yield.h"

namespace engine {

namespace {
constexpr size_t deliveries_per_slice = 2'000;
constexpr size_t buckets_per_slice = 2'000;

bool is_asked_for(const storage::QueueInfo& queue, const QueueQuestion& question) {
    return (question.tenant.empty() || queue.tenant == question.tenant) &&
           (question.campaign.empty() || queue.campaign == question.campaign) &&
           (question.domain.empty() || queue.domain == question.domain);
}
}  // namespace

/// By the buckets of the table, so that the walk can be left and taken up again. Queues that come,
/// go or move to other buckets meanwhile may be missed or counted twice: this is a look, no
/// account.
Task<QueueOverview> Home::overview(QueueQuestion question) {
    QueueOverview found;
    const WallTime now = parts_.reactor.wall();
    size_t looked_at = 0, buckets = 0;
    for (size_t bucket = 0; bucket < queues_.bucket_count() && !stopping_; ++bucket) {
        for (auto at = queues_.begin(bucket); at != queues_.end(bucket); ++at) {
            const Queue& queue = *at->second;
            if (!is_asked_for(*queue.info, question)) continue;
            auto known = found.domains.find(queue.info->domain);
            if (known == found.domains.end()) {
                if (found.domains.size() >= QueueQuestion::domains_max) {
                    found.whole = false;
                    continue;
                }
                known = found.domains.emplace(queue.info->domain, DomainQueues{}).first;
            }
            DomainQueues of_queue{.lent = queue.lent, .queues = 1};
            queue.window.look([&](const storage::Delivery& delivery) {
                ++of_queue.waiting;
                ++of_queue.ages[age_place(now - delivery.accepted)];
                if (!of_queue.oldest || delivery.accepted < *of_queue.oldest)
                    of_queue.oldest = delivery.accepted;
            });
            if (queue.place != Queue::Place::unlooked)  // nothing is known of its rows yet
                of_queue.next_due = queue.window.next_due();
            if (queue.window.cursor()) of_queue.on_disk.push_back(queue.id);
            looked_at += 1 + of_queue.waiting;
            known->second.add(of_queue);
        }
        if (looked_at < deliveries_per_slice && ++buckets < buckets_per_slice) continue;
        looked_at = buckets = 0;
        co_await yield(parts_.reactor);
    }
    co_return found;
}

}  // namespace engine
