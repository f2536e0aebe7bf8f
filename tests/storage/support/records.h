// Short ways to write jobs, deliveries and events in the tests of the store.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>

#include "storage/store.h"

namespace storage::tests {

inline constexpr WallTime noon{std::chrono::milliseconds(1'795'000'000'000)};  // in November 2026

/// In memory where the machine has such a place: these tests start hundreds of stores, and power
/// cuts are simulated.
std::filesystem::path temporary_root();

/// A directory of its own that is gone with the test.
class TemporaryDirectory {
  public:
    TemporaryDirectory();
    ~TemporaryDirectory();
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
};

/// An empty store in a directory of its own.
class TemporaryStore {
  public:
    TemporaryStore();
    Store& operator*() const { return *store_; }
    Store* operator->() const { return store_.get(); }

  private:
    TemporaryDirectory directory_;
    std::unique_ptr<Store> store_;
};

JobId job_id(uint16_t counter, WallTime created = noon);
Job make_job(JobId id, std::string content = "content", std::string tenant = "acme");
Delivery make_delivery(JobId job, uint32_t index, QueueId queue = {1, 1}, WallTime due = noon);
Event make_event(Event::Type type, DeliveryId id, std::string tenant = "acme",
                 WallTime time = noon);

/// A job whose recipients have indexes from 0; `end` also says that no more will come.
Batch accept(const Job& job, uint32_t recipients, QueueId queue = {1, 1});
Batch accept_all(const Job& job, uint32_t recipients, QueueId queue = {1, 1});
Batch finish(const Delivery& delivery, Event::Type type = Event::Type::delivered,
             WallTime time = noon);
Batch defer(const Delivery& delivery, WallTime due);

std::unique_ptr<Store> open_or_fail(StoreOptions options);
Committed commit_or_fail(Store& store, const Batch& batch, uint64_t group = 1, uint16_t shard = 0);

}  // namespace storage::tests
