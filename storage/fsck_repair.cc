#include "storage/fsck_repair.h"

#include <fmt/format.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <set>
#include <unordered_set>

#include "storage/errors.h"
#include "storage/ids.h"
#include "storage/keys.h"
#include "storage/range.h"
#include "storage/records.h"

namespace storage {

namespace {

constexpr size_t batch_bytes_max = size_t{4} << 20;
constexpr size_t losses_listed_max = 1000;

class Repair {
  public:
    Repair(rocksdb::DB& db, std::span<rocksdb::ColumnFamilyHandle* const> families,
           const Scan& scan, const FsckOptions& options, FsckReport& report)
        : db_(db),
          families_(families),
          scan_(scan),
          options_(options),
          report_(report),
          next_event_(std::max({scan.last_event + 1, scan.event_floor, scan.events_whole_from})) {}

    Result<void> run() {
        drop_bad_records();
        drop_rows();
        find_missing();
        if (auto read = read_events(); !read) return read;
        make_jobs();
        make_queues();
        end_lost();
        drop_orphans();
        expire_keys();
        if (auto counted = count_jobs(); !counted) return counted;
        count_tenants();
        if (scan_.boot_seen > scan_.boot) {
            batch_.Put(family(Family::meta), std::string(meta_boot), number_key(scan_.boot_seen));
            done("starts, counted on from", scan_.boot_seen);
        }
        batch_.Put(family(Family::meta), std::string(meta_events_whole_from),
                   number_key(scan_.events_whole_from));
        return write();
    }

  private:
    rocksdb::ColumnFamilyHandle* family(Family f) const {
        return families_[static_cast<size_t>(f)];
    }

    Result<void> write() {
        if (batch_.Count() == 0) return {};
        rocksdb::WriteOptions durable;
        durable.sync = true;
        const auto status = db_.Write(durable, &batch_);
        if (!status.ok()) return std::unexpected(error_of(status, "repair"));
        batch_.Clear();
        return {};
    }
    void done(std::string what, size_t count) {
        if (count > 0) report_.done.push_back(fmt::format("{}: {}", what, count));
    }
    void lost(std::string what) {
        if (report_.lost.size() < losses_listed_max) report_.lost.push_back(std::move(what));
    }

    void drop_bad_records() {
        for (const auto& [of, key] : scan_.bad_records) {
            batch_.Delete(family(of), key);
            if (of == Family::delivery || of == Family::event || of == Family::job)
                lost(fmt::format("record {} of family {}", rocksdb::Slice(key).ToString(true),
                                 name_of(of)));
        }
        done("records that did not decode, deleted", scan_.bad_records.size());
        for (const std::string& key : scan_.bad_reasons) {
            Writer value;
            write_suppression(value, {.source = "fsck", .time = options_.now});
            batch_.Put(family(Family::suppression), key, value.bytes());
        }
        done("suppressed addresses, kept without their reason", scan_.bad_reasons.size());
    }

    void drop_row(const DeliveryKey& key) {
        batch_.SingleDelete(family(Family::delivery), delivery_key(key));
        dropped_.insert(key);
    }

    void drop_rows() {
        const std::unordered_set<DeliveryId> ended(scan_.ended_rows.begin(),
                                                   scan_.ended_rows.end());
        size_t twice = 0;
        for (size_t i = 0; i < scan_.rows.size(); ++i) {
            const ScannedRow& row = scan_.rows[i];
            if (ended.contains(row.key.id)) {
                drop_row(row.key);
                continue;
            }
            const ScannedRow* best =
                kept_.empty() || kept_.back()->key.id != row.key.id ? nullptr : kept_.back();
            if (!best) {
                kept_.push_back(&row);
                continue;
            }
            ++twice;
            const bool better = row.attempts > best->attempts;
            drop_row(better ? best->key : row.key);
            if (better) kept_.back() = &row;
        }
        done("deliveries that had ended, removed from their queues", ended.size());
        done("deliveries that waited twice, removed once", twice);
    }

    /// What has to be looked up in the events: jobs whose deliveries are incomplete, and those
    /// whose rows are made anew.
    void find_missing() {
        for (const ScannedRow* row : kept_) ++rows_[row->key.id.job];
        for (const auto& [id, job] : scan_.jobs) {
            const uint64_t rows = rows_.contains(id) ? rows_.at(id) : 0;
            const auto counted = static_cast<int64_t>(job.counts.open());
            const auto seen = static_cast<int64_t>(job.seen.open());
            const auto there = static_cast<int64_t>(rows);
            // Where events are lost the end of a delivery may be: then the job's counts say how
            // many are open.
            const bool told = !job.counts_known || scan_.tells_all(job);
            const bool short_of_rows =
                (job.counts_known && counted > there) || (told && seen > there);
            if (short_of_rows || (rows > 0 && (!job.has_row || !job.content)))
                looked_up_.insert(id);
        }
        for (const ScannedRow* row : kept_) {
            const auto queue = scan_.queues.find(row->key.queue);
            if (queue != scan_.queues.end() && !queue->second) nameless_[row->key.queue] = row;
        }
        for (const auto& [id, row] : nameless_) looked_up_.insert(row->key.id.job);
    }

    Result<void> read_events() {
        if (looked_up_.empty()) return {};
        const auto gaps =
            read_patiently(db_, family(Family::event), Family::event,
                           [&](std::string_view key, std::string_view value) {
                               const auto seq = parse_number_key(key);
                               if (!seq || *seq < scan_.event_floor) return;
                               const auto event = read_event(*seq, value);
                               if (!event || !looked_up_.contains(event->delivery.job)) return;
                               if (event->type == Event::Type::accepted)
                                   accepted_.emplace(event->delivery, *event);
                               else if (is_terminal(event->type))
                                   ended_.insert(event->delivery);
                           });
        if (gaps.empty()) return {};
        return std::unexpected(
            Error{Errc::corruption, "events cannot be read: " + gaps.front().why});
    }

    const Event* accepted_of(JobId job) const {
        const auto at = accepted_.lower_bound({job, 0});
        return at != accepted_.end() && at->first.job == job ? &at->second : nullptr;
    }

    void make_jobs() {
        size_t made = 0;
        for (const auto& [id, count] : rows_) {
            if (scan_.jobs.at(id).has_row) continue;
            Job job{.id = id, .created = parts_of(id).time};
            if (const Event* event = accepted_of(id)) {
                job.tenant = event->tenant;
                job.campaign = event->campaign;
                job.klass = event->klass;
                job.sender = event->from;
                job.created = event->time;
            } else {
                lost(
                    fmt::format("the sender and tenant of job {}: its event is gone", to_text(id)));
            }
            job.pool = "default";
            new_jobs_[id] = std::move(job);
            ++made;
        }
        done("rows of jobs, written anew", made);
    }

    void make_queues() {
        size_t made = 0;
        for (const auto& [id, row] : nameless_) {
            const auto event = accepted_.find(row->key.id);
            QueueInfo info;
            std::string bytes;
            if (event != accepted_.end()) {
                info = {event->second.tenant, event->second.campaign, event->second.klass,
                        event->second.domain};
            } else if (const auto job = job_of(row->key.id.job);
                       job && options_.domain_of &&
                       db_.Get({}, family(Family::delivery), delivery_key(row->key), &bytes).ok()) {
                const auto delivery = read_delivery(row->key, bytes);
                info = {job->tenant, job->campaign, job->klass,
                        delivery ? options_.domain_of(delivery->recipient) : ""};
            }
            if (options_.queue_id && options_.queue_id(info) != id) {
                lost(fmt::format("what queue {:016x}{:016x} is: its deliveries end as bounced",
                                 id.high, id.low));
                unsendable_.insert(id);
                continue;
            }
            Writer value;
            write_queue(value, info);
            batch_.Put(family(Family::queue), queue_key(id), value.bytes());
            ++made;
        }
        done("rows of queues, written anew", made);
    }

    std::optional<Job> job_of(JobId id) const {
        if (const auto made = new_jobs_.find(id); made != new_jobs_.end()) return made->second;
        std::string bytes;
        if (!db_.Get({}, family(Family::job), number_key(static_cast<uint64_t>(id)), &bytes).ok())
            return std::nullopt;
        auto row = JobRow::read(bytes);
        return row && row->job ? std::move(row->job) : std::nullopt;
    }

    void end(DeliveryId id, const Event* accepted, std::string_view why) {
        Event event;
        if (accepted) {
            event = *accepted;
        } else if (const auto job = job_of(id.job)) {
            event.tenant = job->tenant;
            event.campaign = job->campaign;
            event.klass = job->klass;
            event.from = job->sender;
        }
        event.type = Event::Type::bounced;
        event.time = options_.now;
        event.delivery = id;
        event.reply = fmt::format("sluice fsck: {}", why);
        event.bounce_class = "lost";
        event.bounce_kind = "admin";
        Writer value;
        write_event(value, event);
        batch_.Put(family(Family::event), number_key(next_event_), value.bytes());
        new_events_[id.job].add(next_event_++);
        count(event, ended_now_[id.job]);
        lost(fmt::format("delivery {} to {}: {}", to_text(id), event.to, why));
    }

    void end_lost() {
        size_t count = 0;
        for (const ScannedRow* row : kept_) {
            const bool sendable =
                scan_.jobs.at(row->key.id.job).content && !unsendable_.contains(row->key.queue);
            if (sendable) continue;
            const auto event = accepted_.find(row->key.id);
            end(row->key.id, event == accepted_.end() ? nullptr : &event->second,
                "its content or its queue is lost");
            drop_row(row->key);
            --rows_[row->key.id.job];
            ++count;
        }
        std::set<DeliveryId> there;
        for (const ScannedRow* row : kept_)
            if (looked_up_.contains(row->key.id.job)) there.insert(row->key.id);
        for (const auto& [id, event] : accepted_) {
            if (there.contains(id) || ended_.contains(id)) continue;
            end(id, &event, "its row is lost");
            ++count;
        }
        done("deliveries that are lost, ended as bounced with an event each", count);
    }

    void drop_orphans() {
        size_t count = 0;
        const auto drop = [&](JobId id) {
            batch_.Delete(family(Family::content), content_key(id));
            batch_.Delete(family(Family::content), large_content_key(id));
            ++count;
        };
        for (const auto& [id, job] : scan_.jobs) {
            const bool used = rows_.contains(id) && rows_.at(id) > 0;
            if (job.content && !used && !(job.has_row && !job.complete)) drop(id);
        }
        for (const auto* list : {&scan_.markers_without_content, &scan_.contents_without_marker})
            for (const JobId id : *list)
                if (!scan_.jobs.contains(id) || !scan_.jobs.at(id).content) drop(id);
        done("contents of no more use, dropped", count);
    }

    void expire_keys() {
        for (const std::string& key : scan_.unbounded_keys) {
            Reader in(std::string_view(key).substr(1));
            const std::string tenant(in.string());
            const std::string name(in.string());
            std::string bytes;
            if (!db_.Get({}, family(Family::idempotency), key, &bytes).ok()) continue;
            if (const auto record = read_idempotency(tenant, name, bytes))
                batch_.Put(family(Family::idempotency), idempotency_expiry_key(*record), "");
        }
        done("idempotency keys, given back their end", scan_.unbounded_keys.size());
    }

    /// The counts that a job shall have: by its events where all are kept, else as they were and
    /// with what was ended now; accepted is then what has ended and what is there.
    Result<void> count_jobs() {
        size_t changed = 0;
        for (const auto& [id, job] : scan_.jobs) {
            const uint64_t rows = rows_.contains(id) ? rows_.at(id) : 0;
            const bool from_events = scan_.tells_all(job);
            JobCounts counts = from_events || !job.counts_known ? job.seen : job.counts;
            if (const auto now = ended_now_.find(id); now != ended_now_.end())
                counts += now->second;
            const uint64_t ended = counts.accepted - counts.open();
            if (counts.open() != rows && ended + rows < counts.accepted) {
                counts.bounced += counts.accepted - ended - rows;
                lost(fmt::format("{} deliveries of job {}, of which no event is kept",
                                 counts.accepted - ended - rows, to_text(id)));
            }
            counts.accepted = counts.accepted - counts.open() + rows;
            const bool rewritten = new_jobs_.contains(id) || new_events_.contains(id);
            if (!rewritten && (!job.counts_known || counts == job.counts)) continue;
            if (!job.has_row && !new_jobs_.contains(id)) continue;
            write_job_row(id, counts);
            ++changed;
            if (batch_.GetDataSize() > batch_bytes_max)
                if (auto written = write(); !written) return written;
        }
        done("jobs, counted anew", changed);
        return {};
    }

    void write_job_row(JobId id, const JobCounts& counts) {
        JobRow row;
        std::string bytes;
        const std::string key = number_key(static_cast<uint64_t>(id));
        if (db_.Get({}, family(Family::job), key, &bytes).ok())
            if (auto read = JobRow::read(bytes)) row = std::move(*read);
        if (const auto made = new_jobs_.find(id); made != new_jobs_.end()) {
            row.job = made->second;
            row.tally.ended = true;
        }
        row.tally.counts = counts;
        if (const auto more = new_events_.find(id); more != new_events_.end()) {
            row.tally.ranges.add(more->second);
            row.tally.last_end = std::max(row.tally.last_end, std::optional(options_.now));
        }
        Writer value;
        row.write(value);
        batch_.Put(family(Family::job), key, value.bytes());
    }

    void count_tenants() {
        std::map<std::string, uint64_t, std::less<>> rows;
        std::map<std::string, JobCounts, std::less<>> tenants(scan_.ledger.begin(),
                                                              scan_.ledger.end());
        for (const auto& [id, count] : rows_)
            if (const auto job = job_of(id)) rows[job->tenant] += count;
        for (const auto& [id, counts] : ended_now_)
            if (const auto job = job_of(id)) tenants[job->tenant] += counts;
        for (const auto& [tenant, count] : rows) tenants.try_emplace(tenant);
        size_t changed = 0;
        for (auto& [tenant, counts] : tenants) {
            const uint64_t there = rows.contains(tenant) ? rows.at(tenant) : 0;
            counts.accepted = counts.accepted - counts.open() + there;
            const auto before = scan_.ledger.find(tenant);
            if (before != scan_.ledger.end() && before->second == counts) continue;
            Writer value;
            TenantRow{counts}.write(value);
            batch_.Put(family(Family::meta), std::string(meta_ledger) + tenant, value.bytes());
            ++changed;
        }
        done("tenants, counted anew", changed);
    }

    rocksdb::DB& db_;
    std::span<rocksdb::ColumnFamilyHandle* const> families_;
    const Scan& scan_;
    const FsckOptions& options_;
    FsckReport& report_;
    uint64_t next_event_;
    rocksdb::WriteBatch batch_;
    std::vector<const ScannedRow*> kept_;  // one for each delivery
    std::set<DeliveryKey> dropped_;
    std::unordered_map<JobId, uint64_t> rows_;  // of kept_
    std::unordered_set<JobId> looked_up_;
    std::map<QueueId, const ScannedRow*> nameless_;
    std::set<QueueId> unsendable_;
    std::map<DeliveryId, Event> accepted_;
    std::set<DeliveryId> ended_;
    std::unordered_map<JobId, Job> new_jobs_;
    std::unordered_map<JobId, EventRanges> new_events_;
    std::unordered_map<JobId, JobCounts> ended_now_;
};

}  // namespace

Result<void> repair_records(rocksdb::DB& db, std::span<rocksdb::ColumnFamilyHandle* const> families,
                            const Scan& scan, const FsckOptions& options, FsckReport& report) {
    return Repair(db, families, scan, options, report).run();
}

Result<void> copy_readable(rocksdb::DB& from,
                           std::span<rocksdb::ColumnFamilyHandle* const> families,
                           const std::filesystem::path& to, const FsckOptions& options) {
    rocksdb::DBOptions db_options = database_options(options.memory_bytes);
    rocksdb::DB* opened = nullptr;
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    auto status = rocksdb::DB::Open(db_options, to.string(),
                                    family_descriptors(options.memory_bytes), &handles, &opened);
    if (!status.ok()) return std::unexpected(error_of(status, "make " + to.string()));
    const std::unique_ptr<rocksdb::DB> db(opened);
    rocksdb::WriteOptions unlogged;
    unlogged.disableWAL = true;
    for (size_t f = 0; f < family_count && status.ok(); ++f) {
        rocksdb::WriteBatch batch;
        const auto flush = [&] {
            if (status.ok()) status = db->Write(unlogged, &batch);
            batch.Clear();
        };
        (void)read_patiently(from, families[f], static_cast<Family>(f),
                             [&](std::string_view key, std::string_view value) {
                                 batch.Put(handles[f], rocksdb::Slice(key.data(), key.size()),
                                           rocksdb::Slice(value.data(), value.size()));
                                 if (batch.GetDataSize() > batch_bytes_max) flush();
                             });
        flush();
    }
    if (status.ok()) status = db->Flush({}, handles);
    for (auto* handle : handles) (void)db->DestroyColumnFamilyHandle(handle);
    if (status.ok()) status = db->Close();
    if (!status.ok()) return std::unexpected(error_of(status, "copy into " + to.string()));
    return {};
}

}  // namespace storage
