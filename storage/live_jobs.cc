#include "storage/live_jobs.h"

#include <metrics/check.h>

#include <algorithm>

namespace storage {

Result<void> LiveJobs::pin(const Additions& additions) {
    std::vector<JobId> pinned;
    pinned.reserve(additions.jobs.size());
    for (const auto& [id, addition] : additions.jobs) {
        if (auto done = pin(id, addition); !done) {
            for (const JobId other : pinned) unpin(other);
            return done;
        }
        pinned.push_back(id);
    }
    return {};
}

std::vector<UselessContent> LiveJobs::apply(const Additions& additions) {
    std::vector<UselessContent> useless;
    for (const auto& [id, addition] : additions.jobs)
        if (const auto content = apply(id, addition)) useless.push_back(*content);
    std::ranges::sort(useless);
    return useless;
}

void LiveJobs::unpin(const Additions& additions) {
    for (const auto& [id, addition] : additions.jobs) unpin(id);
}

LiveJobs::Shard& LiveJobs::shard_of(JobId id) {
    return shards_[(static_cast<uint64_t>(id) * 0x9e3779b97f4a7c15ULL >> 32) % shards];
}

Result<void> LiveJobs::pin(JobId id, const JobRow& addition) {
    Shard& shard = shard_of(id);
    const std::lock_guard lock(shard.mutex);
    auto at = shard.entries.find(id);
    if (at == shard.entries.end()) {
        Entry entry;
        entry.small = addition.small_content;
        if (!addition.job) {  // came with an earlier commit
            auto row = load_(id);
            // One damaged row must not keep the outcomes of others from being recorded: its job's
            // content then stays until fsck has looked.
            if (!row && row.error().code != Errc::corruption) return std::unexpected(row.error());
            if (row && *row && (*row)->job) {
                entry.known = true;
                entry.open = (*row)->tally.counts.open();
                entry.complete = (*row)->complete(boot_);
            }
        }
        entry.age = shard.by_age.insert(shard.by_age.end(), id);
        at = shard.entries.emplace(id, entry).first;
        trim(shard);
    }
    ++at->second.pins;
    shard.by_age.splice(shard.by_age.end(), shard.by_age, at->second.age);
    return {};
}

void LiveJobs::unpin(JobId id) {
    Shard& shard = shard_of(id);
    const std::lock_guard lock(shard.mutex);
    const auto at = shard.entries.find(id);
    CHECK(at != shard.entries.end() && at->second.pins > 0, "a job is unpinned that nobody pinned");
    // The row is what counts after a failure: the next commit that needs the entry reads it again.
    if (--at->second.pins == 0) forget(shard, at);
}

std::optional<UselessContent> LiveJobs::apply(JobId id, const JobRow& addition) {
    Shard& shard = shard_of(id);
    const std::lock_guard lock(shard.mutex);
    const auto at = shard.entries.find(id);
    CHECK(at != shard.entries.end() && at->second.pins > 0, "a job is counted that nobody pinned");
    Entry& entry = at->second;
    const JobCounts& more = addition.tally.counts;
    const uint64_t ended = more.accepted - more.open();
    entry.known = entry.known || addition.job.has_value();
    entry.complete = entry.complete || addition.tally.ended;
    entry.open += more.accepted - ended;
    --entry.pins;
    const bool finished = entry.complete && entry.open == 0;
    const bool by_this = ended > 0 || addition.tally.ended;
    std::optional<UselessContent> useless;
    if (finished && by_this && entry.known) useless = {.job = id, .small = entry.small};
    if (finished && entry.pins == 0) forget(shard, at);
    return useless;
}

void LiveJobs::forget(Shard& shard, std::unordered_map<JobId, Entry>::iterator at) {
    shard.by_age.erase(at->second.age);
    shard.entries.erase(at);
}

void LiveJobs::trim(Shard& shard) {
    // Pinned ones are as many as commits in flight touch; they are skipped, and so the walk is
    // short.
    auto next = shard.by_age.begin();
    while (shard.entries.size() > entries_max && next != shard.by_age.end()) {
        const auto at = shard.entries.find(*next++);
        if (at->second.pins == 0 && next != shard.by_age.end()) forget(shard, at);
    }
}

}  // namespace storage
