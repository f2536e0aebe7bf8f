#include "storage/compaction_pace.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <ctime>
#include <optional>
#include <thread>

#include "storage/families.h"

namespace storage {

namespace {

using Nanoseconds = std::chrono::nanoseconds;

constexpr int sleep_factor = 3;                             // a quarter of a core
constexpr auto step_min = std::chrono::milliseconds(5);     // of CPU; shorter ones add up
constexpr auto sleep_max = std::chrono::milliseconds(200);  // a stop waits for it
constexpr int64_t burst_bytes = 256 << 10;                  // compressed: some 10 ms of CPU

Nanoseconds thread_cpu() {
    timespec now{};
    (void)::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return std::chrono::seconds(now.tv_sec) + Nanoseconds(now.tv_nsec);
}

/// Of the slow compaction that this thread runs: what it had cost at its last sleep.
thread_local std::optional<Nanoseconds> slow_since;

class Pace final : public rocksdb::RateLimiter {
  public:
    using RateLimiter::Request;
    void SetBytesPerSecond(int64_t) override {}
    int64_t GetSingleBurstBytes() const override { return burst_bytes; }
    int64_t GetBytesPerSecond() const override { return 0; }  // none; RocksDB takes its default
    int64_t GetTotalBytesThrough(rocksdb::Env::IOPriority) const override { return bytes_; }
    int64_t GetTotalRequests(rocksdb::Env::IOPriority) const override { return requests_; }

    void Request(int64_t bytes, rocksdb::Env::IOPriority priority, rocksdb::Statistics*) override {
        bytes_ += bytes;
        ++requests_;
        // RocksDB raises it when writes have to wait for compactions.
        if (!slow_since || priority != rocksdb::Env::IO_LOW) return;
        const Nanoseconds cost = thread_cpu() - *slow_since;
        if (cost < step_min) return;
        std::this_thread::sleep_for(std::min<Nanoseconds>(cost * sleep_factor, sleep_max));
        slow_since = thread_cpu();
    }

  private:
    std::atomic<int64_t> bytes_{0}, requests_{0};
};

class Watch final : public rocksdb::EventListener {
  public:
    void OnCompactionBegin(rocksdb::DB*, const rocksdb::CompactionJobInfo& job) override {
        const auto fresh =
            std::ranges::count(job.input_file_infos, 0, &rocksdb::CompactionFileInfo::level);
        const bool slow = job.cf_id == static_cast<uint32_t>(Family::delivery) &&
                          static_cast<size_t>(fresh) < hurried_from;
        slow_since = slow ? std::optional(thread_cpu()) : std::nullopt;
    }
    void OnCompactionCompleted(rocksdb::DB*, const rocksdb::CompactionJobInfo&) override {
        slow_since.reset();
    }
};

}  // namespace

std::shared_ptr<rocksdb::RateLimiter> make_compaction_pace() {
    return std::make_shared<Pace>();
}

std::shared_ptr<rocksdb::EventListener> make_compaction_watch() {
    return std::make_shared<Watch>();
}

}  // namespace storage
