#include "storage/ledger.h"

#include <rocksdb/merge_operator.h>

#include <algorithm>

#include "storage/families.h"
#include "storage/records.h"

namespace storage {

void count(const Event& event, JobCounts& counts) {
    switch (event.type) {
        case Event::Type::accepted:
            ++counts.accepted;
            return;
        case Event::Type::delivered:
            ++counts.delivered;
            return;
        case Event::Type::deferred:
            ++counts.deferrals;
            return;
        case Event::Type::bounced:
            ++counts.bounced;
            return;
        case Event::Type::expired:
            ++counts.expired;
            return;
        case Event::Type::cancelled:
            ++counts.cancelled;
            return;
        case Event::Type::suppressed:
            ++counts.suppressed;
            return;
        // They tell of deliveries that have been counted when they ended.
        case Event::Type::complaint:
        case Event::Type::async_bounce:
            return;
    }
}

JobCounts& operator+=(JobCounts& sum, const JobCounts& more) {
    sum.accepted += more.accepted;
    sum.delivered += more.delivered;
    sum.bounced += more.bounced;
    sum.expired += more.expired;
    sum.cancelled += more.cancelled;
    sum.suppressed += more.suppressed;
    sum.deferrals += more.deferrals;
    return sum;
}

bool operator==(const JobCounts& a, const JobCounts& b) {
    return a.accepted == b.accepted && a.delivered == b.delivered && a.bounced == b.bounced &&
           a.expired == b.expired && a.cancelled == b.cancelled && a.suppressed == b.suppressed &&
           a.deferrals == b.deferrals;
}

namespace {

void write_counts(Writer& out, const JobCounts& counts) {
    for (const uint64_t n : {counts.accepted, counts.delivered, counts.bounced, counts.expired,
                             counts.cancelled, counts.suppressed, counts.deferrals})
        out.varint(n);
}

JobCounts read_counts(Reader& in) {
    JobCounts counts;
    for (uint64_t* n : {&counts.accepted, &counts.delivered, &counts.bounced, &counts.expired,
                        &counts.cancelled, &counts.suppressed, &counts.deferrals})
        *n = in.varint();
    return counts;
}

}  // namespace

void EventRanges::add(uint64_t seq) {
    insert(seq >> shift_);
}

void EventRanges::add(const EventRanges& more) {
    if (more.shift_ > shift_) widen(more.shift_);
    const unsigned by = shift_ - more.shift_;
    for (const uint64_t number : more.numbers_) insert(number >> std::min(by, 63U));
}

void EventRanges::insert(uint64_t number) {
    if (numbers_.empty() || numbers_.back() < number) {
        numbers_.push_back(number);
    } else if (numbers_.back() != number) {
        const auto place = std::ranges::lower_bound(numbers_, number);
        if (*place == number) return;
        numbers_.insert(place, number);
    }
    while (numbers_.size() > ranges_max && shift_ < shift_max) widen(shift_ + 1);
}

void EventRanges::widen(unsigned shift) {
    for (uint64_t& number : numbers_) number >>= shift - shift_;
    shift_ = shift;
    const auto repeated = std::ranges::unique(numbers_);
    numbers_.erase(repeated.begin(), repeated.end());
}

void EventRanges::write(Writer& out) const {
    out.byte(static_cast<uint8_t>(shift_));
    out.varint(numbers_.size());
    uint64_t last = 0;
    for (const uint64_t number : numbers_) {
        out.varint(number - last);
        last = number;
    }
}

EventRanges EventRanges::read(Reader& in) {
    EventRanges ranges;
    ranges.shift_ = in.below(shift_max + 1);
    if (ranges.shift_ < shift_min) in.fail();
    const uint64_t size = in.varint();
    if (size > ranges_max || size > in.remaining()) in.fail();
    uint64_t last = 0;
    for (uint64_t i = 0; i < size && !in.failed(); ++i) {
        const uint64_t step = in.varint();
        const bool ascending = step > 0 || i == 0;
        const uint64_t highest = UINT64_MAX >> ranges.shift_;
        if (!ascending || last > highest || step > highest - last) in.fail();
        if (in.failed()) break;
        last += step;
        ranges.numbers_.push_back(last);
    }
    return ranges;
}

void JobRow::add(JobRow later) {
    if (!job && later.job) {
        job = std::move(later.job);
        boot = later.boot;
    }
    tally.counts += later.tally.counts;
    tally.ended = tally.ended || later.tally.ended;
    tally.last_end =
        std::max(tally.last_end, later.tally.last_end);  // nothing is less than any time
    tally.ranges.add(later.tally.ranges);
}

JobStatus JobRow::status(uint32_t boot_now) && {
    JobStatus status;
    status.complete = complete(boot_now);
    status.counts = tally.counts;
    if (status.complete && status.counts.open() == 0)
        status.finished = tally.last_end.value_or(job->created);
    status.job = std::move(*job);
    return status;
}

void JobRow::write(Writer& out) const {
    out.byte(version);
    out.byte(job ? 1 : 0);
    if (job) {
        out.varint(boot);
        write_job(out, *job);
    }
    write_counts(out, tally.counts);
    out.byte(tally.ended ? 1 : 0);
    out.byte(tally.last_end ? 1 : 0);
    if (tally.last_end) out.time(*tally.last_end);
    tally.ranges.write(out);
}

std::optional<JobRow> JobRow::read(std::string_view bytes) {
    Reader in(bytes);
    const uint8_t found = in.byte();
    if (found == 0 || found > version) return std::nullopt;
    JobRow row;
    if (in.flag()) {
        row.boot = in.varint32();
        row.job = read_job(in, found == 1 ? JobForm::first : JobForm::current);
    }
    row.tally.counts = read_counts(in);
    row.tally.ended = in.flag();
    if (in.flag()) row.tally.last_end = in.time();
    row.tally.ranges = EventRanges::read(in);
    return in.finished() ? std::optional(std::move(row)) : std::nullopt;
}

void TenantRow::write(Writer& out) const {
    out.byte(version);
    write_counts(out, counts);
}

std::optional<TenantRow> TenantRow::read(std::string_view bytes) {
    Reader in(bytes);
    if (in.byte() != version) return std::nullopt;
    const TenantRow row{read_counts(in)};
    return in.finished() ? std::optional(row) : std::nullopt;
}

namespace {

std::string_view view(const rocksdb::Slice& slice) {
    return {slice.data(), slice.size()};
}

// Rows and operands have one form, so both kinds of merge are one sum. A row that cannot be read
// makes the merge fail, and RocksDB reports corruption to whoever reads it.
template <class Row>
class SumMerge final : public rocksdb::MergeOperator {
  public:
    explicit SumMerge(const char* name) : name_(name) {}
    const char* Name() const override { return name_; }

    bool FullMergeV2(const MergeOperationInput& in, MergeOperationOutput* out) const override {
        Row sum;
        if (in.existing_value && !add(sum, *in.existing_value)) return false;
        for (const rocksdb::Slice& operand : in.operand_list)
            if (!add(sum, operand)) return false;
        Writer writer;
        sum.write(writer);
        out->new_value = writer.take();
        return true;
    }

    bool PartialMergeMulti(const rocksdb::Slice&, const std::deque<rocksdb::Slice>& operands,
                           std::string* result, rocksdb::Logger*) const override {
        Row sum;
        for (const rocksdb::Slice& operand : operands)
            if (!add(sum, operand)) return false;
        Writer writer;
        sum.write(writer);
        *result = writer.take();
        return true;
    }

  private:
    static bool add(Row& sum, const rocksdb::Slice& bytes) {
        auto row = Row::read(view(bytes));
        if (!row) return false;
        sum.add(std::move(*row));
        return true;
    }

    const char* name_;
};

}  // namespace

// The names are in the data files: RocksDB refuses to open a family with another one.
std::shared_ptr<rocksdb::MergeOperator> make_job_merge() {
    return std::make_shared<SumMerge<JobRow>>("sluice.job.1");
}
std::shared_ptr<rocksdb::MergeOperator> make_tenant_merge() {
    return std::make_shared<SumMerge<TenantRow>>("sluice.tenant.1");
}

Additions additions_of(std::span<const Batch> group, uint64_t first_seq, uint32_t boot) {
    Additions sum;
    uint64_t seq = first_seq;
    for (const Batch& batch : group) {
        for (const Job& job : batch.jobs) {
            JobRow& row = sum.jobs[job.id];
            row.job = Job{.id = job.id,
                          .tenant = job.tenant,
                          .campaign = job.campaign,
                          .pool = job.pool,
                          .klass = job.klass,
                          .sender = job.sender,
                          .created = job.created,
                          .envid = job.envid,
                          .ret = job.ret,
                          .reports = job.reports,
                          .tls = job.tls};
            row.boot = boot;
            row.small_content = job.content.size() < large_content_min;
        }
        for (const JobId id : batch.job_ends) sum.jobs[id].tally.ended = true;
        for (const Event& event : batch.events) {
            JobTally& tally = sum.jobs[event.delivery.job].tally;
            count(event, tally.counts);
            count(event, sum.tenants[event.tenant]);
            if (is_terminal(event.type))
                tally.last_end = std::max(tally.last_end, std::optional(event.time));
            tally.ranges.add(seq++);
        }
    }
    return sum;
}

}  // namespace storage
