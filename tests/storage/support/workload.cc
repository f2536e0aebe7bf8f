#include "tests/storage/support/workload.h"

#include "storage/ids.h"
#include "storage/ledger.h"
#include "tests/storage/support/records.h"

namespace storage::tests {

using std::chrono::milliseconds;

void Image::apply(const Batch& batch) {
    for (const DeliveryKey& key : batch.removes) rows.erase(key);
    for (const Delivery& delivery : batch.puts) rows.insert(key_of(delivery));
    for (const Event& event : batch.events) stories[event.delivery].push_back(event.type);
}

Image image_of(Store& store) {
    Image image;
    std::map<JobId, JobCounts> jobs;
    JobCounts all;
    uint64_t last = 0;
    for (const Event& event : store.events(0, SIZE_MAX).value()) {
        EXPECT_GT(event.seq, last);
        last = event.seq;
        image.stories[event.delivery].push_back(event.type);
        count(event, jobs[event.delivery.job]);
        count(event, all);
    }
    std::map<JobId, uint64_t> open;
    for (const auto& [id, info] : store.queues().value())
        for (const Delivery& delivery : store.read_queue(id, std::nullopt, SIZE_MAX).value()) {
            EXPECT_TRUE(image.rows.insert(key_of(delivery)).second);
            ++open[delivery.id.job];
        }
    for (const auto& [id, counts] : jobs) {
        const auto status = store.job(id).value();
        if (!status) {
            ADD_FAILURE() << "a job has events but no row";
            continue;
        }
        EXPECT_EQ(status->counts, counts);
        EXPECT_EQ(status->counts.open(), open[id]);
        const auto content = store.content(id).value();
        if (open[id] > 0) EXPECT_EQ(content, Workload::content_of(id));
    }
    const Ledger ledger = store.ledger();
    EXPECT_EQ(ledger.contains("acme") ? ledger.at("acme") : JobCounts{}, all);
    return image;
}

std::string Workload::content_of(JobId id) {
    const auto number = static_cast<uint64_t>(id);
    return std::string(number % 7 == 0 ? 40'000 : 300, static_cast<char>('a' + number % 26));
}

std::vector<Batch> Workload::next() {
    std::vector<Batch> group(1 + random_() % 3);
    for (Batch& batch : group) {
        if (open_.empty() || random_() % 3 == 0) {
            batch = new_job();
            continue;
        }
        // Taken out until the group is acknowledged: no other batch of it may touch the same
        // delivery.
        const auto at = std::next(open_.begin(), static_cast<ptrdiff_t>(random_() % open_.size()));
        batch = end_of(at->second);
        open_.erase(at);
    }
    return group;
}

Batch Workload::new_job() {
    const JobId id = make_job_id({.time = noon, .shard = lane_, .counter = ++jobs_});
    const auto recipients = static_cast<uint32_t>(random_() % 5);
    const Job job = make_job(id, content_of(id));
    return accept_all(job, recipients, {lane_, random_() % 4});
}

Batch Workload::end_of(const Delivery& delivery) {
    if (random_() % 3 == 0)
        return defer(delivery, delivery.due + milliseconds(1 + random_() % 100));
    return finish(delivery, random_() % 2 == 0 ? Event::Type::delivered : Event::Type::bounced);
}

void Workload::acknowledged(const std::vector<Batch>& group) {
    for (const Batch& batch : group) {
        image_.apply(batch);
        for (const DeliveryKey& key : batch.removes) rows_.erase(key.id);
        for (const Delivery& delivery : batch.puts)
            open_[delivery.id] = rows_[delivery.id] = delivery;
    }
}

void Workload::forget_doubt() {
    open_ = rows_;
}

}  // namespace storage::tests
