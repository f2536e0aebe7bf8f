#include "tests/storage/support/records.h"

#include <unistd.h>

#include <stdexcept>

#include "storage/ids.h"

namespace storage::tests {

std::filesystem::path temporary_root() {
    const std::filesystem::path memory = "/dev/shm";
    const bool usable = ::access(memory.c_str(), W_OK | X_OK) == 0;
    return usable ? memory : std::filesystem::temp_directory_path();
}

TemporaryDirectory::TemporaryDirectory() {
    std::string name = (temporary_root() / "sluice-store-XXXXXX").string();
    if (!::mkdtemp(name.data())) throw std::runtime_error("no temporary directory");
    path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

TemporaryStore::TemporaryStore() : store_(Store::open({.data_dir = directory_.path()}).value()) {}

JobId job_id(uint16_t counter, WallTime created) {
    return make_job_id({.time = created, .counter = counter});
}

Job make_job(JobId id, std::string content, std::string tenant) {
    return {.id = id,
            .tenant = std::move(tenant),
            .campaign = "nov",
            .pool = "default",
            .klass = Class::bulk,
            .sender = "bounce@news.example.com",
            .created = parts_of(id).time,
            .content = std::move(content)};
}

Delivery make_delivery(JobId job, uint32_t index, QueueId queue, WallTime due) {
    Delivery delivery;
    delivery.id = {job, index};
    delivery.queue = queue;
    delivery.recipient = "user" + std::to_string(index) + "@x.test";
    delivery.vars = "name=User";
    delivery.accepted = noon;
    delivery.due = due;
    delivery.expires = noon + std::chrono::hours(72);
    return delivery;
}

Event make_event(Event::Type type, DeliveryId id, std::string tenant, WallTime time) {
    Event event;
    event.type = type;
    event.time = time;
    event.delivery = id;
    event.tenant = std::move(tenant);
    event.campaign = "nov";
    event.to = "user" + std::to_string(id.index) + "@x.test";
    event.domain = "x.test";
    return event;
}

Batch accept(const Job& job, uint32_t recipients, QueueId queue) {
    Batch batch;
    batch.jobs.push_back(job);
    batch.queues.emplace_back(queue, QueueInfo{job.tenant, "nov", Class::bulk, "x.test"});
    for (uint32_t i = 0; i < recipients; ++i) {
        batch.puts.push_back(make_delivery(job.id, i, queue));
        batch.events.push_back(
            make_event(Event::Type::accepted, {job.id, i}, job.tenant, job.created));
    }
    return batch;
}

Batch accept_all(const Job& job, uint32_t recipients, QueueId queue) {
    Batch batch = accept(job, recipients, queue);
    batch.job_ends.push_back(job.id);
    return batch;
}

Batch finish(const Delivery& delivery, Event::Type type, WallTime time) {
    Batch batch;
    batch.removes.push_back(key_of(delivery));
    batch.events.push_back(make_event(type, delivery.id, "acme", time));
    return batch;
}

Batch defer(const Delivery& delivery, WallTime due) {
    Batch batch;
    batch.removes.push_back(key_of(delivery));
    batch.puts.push_back(delivery);
    batch.puts.back().due = due;
    ++batch.puts.back().attempts;
    batch.events.push_back(make_event(Event::Type::deferred, delivery.id));
    return batch;
}

std::unique_ptr<Store> open_or_fail(StoreOptions options) {
    auto store = Store::open(std::move(options));
    if (!store) throw std::runtime_error(store.error().what);
    return std::move(*store);
}

Committed commit_or_fail(Store& store, const Batch& batch, uint64_t group, uint16_t shard) {
    const auto done = store.commit({&batch, 1}, shard, group);
    if (!done) throw std::runtime_error(done.error().what);
    return *done;
}

}  // namespace storage::tests
