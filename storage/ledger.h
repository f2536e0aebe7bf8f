// Counting: what events add to a job's and a tenant's counts, and the merge operators that let
// RocksDB add up such additions. Concurrent commits merge, so none has to read, and none can
// overwrite, what another has counted.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "storage/codec.h"
#include "storage/types.h"

namespace rocksdb {
class MergeOperator;
}

namespace storage {

void count(const Event&, JobCounts&);
JobCounts& operator+=(JobCounts&, const JobCounts&);
bool operator==(const JobCounts&, const JobCounts&);

/// Where a job's events lie in the event family: sequence numbers in ranges of 2^shift. It makes a
/// delivery's story cheap to find without a second row per event. Never more than ranges_max: then
/// the ranges get twice as wide.
class EventRanges {
  public:
    static constexpr size_t ranges_max = 4096;
    static constexpr unsigned shift_min = 12;
    static constexpr unsigned shift_max = 52;

    void add(uint64_t seq);
    void add(const EventRanges&);
    unsigned shift() const { return shift_; }
    const std::vector<uint64_t>& numbers() const {
        return numbers_;
    }  // ascending; range n begins at n << shift

    void write(Writer&) const;
    static EventRanges read(Reader&);
    bool operator==(const EventRanges&) const = default;

  private:
    void widen(unsigned shift);
    void insert(uint64_t number);

    unsigned shift_ = shift_min;
    std::vector<uint64_t> numbers_;
};

/// What the store keeps of a job beside its row.
struct JobTally {
    JobCounts counts;
    bool ended = false;                // job_ends named it
    std::optional<WallTime> last_end;  // of the latest delivery that ended
    EventRanges ranges;
};

/// A row of the job family, and also a merge operand of it, which has no job.
struct JobRow {
    static constexpr uint8_t version = 2;  // 2: the job holds envid, ret, reports, tls
    std::optional<Job> job;  // without content
    uint32_t boot = 0;       // in which the job came
    bool small_content = false;  // of a job that comes; in memory only
    JobTally tally;

    void add(JobRow);  // a later operand
    /// Of a row that has its job, for those who ask.
    JobStatus status(uint32_t boot_now) &&;
    bool complete(uint32_t boot_now) const { return tally.ended || boot != boot_now; }
    void write(Writer&) const;
    static std::optional<JobRow> read(std::string_view);
};

/// A tenant's counts in the meta family; row and operand look the same.
struct TenantRow {
    static constexpr uint8_t version = 1;
    JobCounts counts;

    void add(const TenantRow& later) { counts += later.counts; }
    void write(Writer&) const;
    static std::optional<TenantRow> read(std::string_view);
};

std::shared_ptr<rocksdb::MergeOperator> make_job_merge();
std::shared_ptr<rocksdb::MergeOperator> make_tenant_merge();

/// What one group of batches adds.
struct Additions {
    std::unordered_map<JobId, JobRow> jobs;  // with the job where the group creates it
    std::map<std::string, JobCounts, std::less<>> tenants;
};
/// Events of the group get the numbers from first_seq on, in order.
Additions additions_of(std::span<const Batch> group, uint64_t first_seq, uint32_t boot);

}  // namespace storage
