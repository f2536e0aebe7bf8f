#include "storage/compaction_pace.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <ctime>

#include "storage/families.h"

namespace storage {
namespace {

rocksdb::CompactionJobInfo job_of(Family family, size_t fresh_files) {
    rocksdb::CompactionJobInfo job;
    job.cf_id = static_cast<uint32_t>(family);
    job.input_file_infos.resize(fresh_files + 1);
    job.input_file_infos.front().level = 6;
    for (size_t i = 1; i <= fresh_files; ++i) job.input_file_infos[i].level = 0;
    return job;
}

/// How often this thread has given up the processor of its own accord.
int64_t sleeps() {
    rusage use{};
    ::getrusage(RUSAGE_THREAD, &use);
    return use.ru_nvcsw;
}

void compute_10_ms() {
    const auto cpu = [] {
        timespec now{};
        ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
        return now.tv_sec * 1'000'000'000 + now.tv_nsec;
    };
    for (const auto end = cpu() + 10'000'000; cpu() < end;) {
    }
}

class CompactionPace : public ::testing::Test {
  protected:
    void TearDown() override { watch_->OnCompactionCompleted(nullptr, {}); }
    bool sleeps_after_a_step(rocksdb::Env::IOPriority priority = rocksdb::Env::IO_LOW) {
        compute_10_ms();
        const int64_t before = sleeps();
        pace_->Request(1000, priority, nullptr);
        return sleeps() > before;
    }
    std::shared_ptr<rocksdb::RateLimiter> pace_ = make_compaction_pace();
    std::shared_ptr<rocksdb::EventListener> watch_ = make_compaction_watch();
};

TEST_F(CompactionPace, SleepsInACompactionOfDeliveries) {
    watch_->OnCompactionBegin(nullptr, job_of(Family::delivery, hurried_from - 1));
    EXPECT_TRUE(sleeps_after_a_step());
    EXPECT_TRUE(sleeps_after_a_step());
    watch_->OnCompactionCompleted(nullptr, job_of(Family::delivery, hurried_from - 1));
    EXPECT_FALSE(sleeps_after_a_step()) << "what the thread does next is another matter";
}

TEST_F(CompactionPace, HurriesWhenFilesHaveGathered) {
    watch_->OnCompactionBegin(nullptr, job_of(Family::delivery, hurried_from));
    EXPECT_FALSE(sleeps_after_a_step());
}

TEST_F(CompactionPace, HurriesWhenWritesWait) {
    watch_->OnCompactionBegin(nullptr, job_of(Family::delivery, 8));
    EXPECT_FALSE(sleeps_after_a_step(rocksdb::Env::IO_USER));
}

TEST_F(CompactionPace, LeavesOtherFamiliesAlone) {
    watch_->OnCompactionBegin(nullptr, job_of(Family::event, 1));
    EXPECT_FALSE(sleeps_after_a_step());
}

}  // namespace
}  // namespace storage
