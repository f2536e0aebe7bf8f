// What is wrong with what was read, in words for the operator.
#include <fmt/format.h>
#include <rocksdb/slice.h>

#include <algorithm>
#include <set>

#include "storage/fsck_scan.h"
#include "storage/ids.h"
#include "storage/keys.h"

namespace storage {

namespace {

using Kind = FsckFinding::Kind;
constexpr size_t listed_max = 20;  // of one kind, with what is mended alike

std::string hex(std::string_view bytes) {
    return bytes.empty() ? "the first key"
                         : rocksdb::Slice(bytes.data(), bytes.size()).ToString(true);
}

/// Addresses in words, whatever else in hex.
std::string key_text(Family family, std::string_view key) {
    const auto entry = family == Family::suppression ? parse_suppression_key(key) : std::nullopt;
    return entry ? fmt::format("{} of tenant {}", entry->address, entry->tenant) : hex(key);
}

std::string text_of(const JobCounts& c) {
    return fmt::format(
        "{} accepted, {} delivered, {} bounced, {} expired, {} cancelled, {} "
        "suppressed, {} open",
        c.accepted, c.delivered, c.bounced, c.expired, c.cancelled, c.suppressed,
        static_cast<int64_t>(c.open()));
}

class Judge {
  public:
    Judge(const Scan& scan) : scan_(scan) {}

    std::vector<FsckFinding> run() {
        for (const Gap& gap : scan_.gaps)
            add(Kind::unreadable, fmt::format("{} cannot be read: {}", in_words(gap), gap.why),
                "copies what can be read into new tables; what stood there is lost");
        for (const auto& [family, key] : scan_.bad_records)
            add(Kind::record,
                fmt::format("record {} of family {} does not decode", hex(key), name_of(family)),
                "deletes it; a newer version of sluice may have written it: then start that one");
        for (const std::string& key : scan_.bad_reasons)
            add(Kind::record,
                fmt::format("when and why {} was entered does not decode",
                            key_text(Family::suppression, key)),
                "keeps the address on the list, without a reason");
        if (scan_.boot_seen > scan_.boot)
            add(Kind::record,
                fmt::format("{} starts are counted, and there are records of start {}: mail of "
                            "those would wait for ever",
                            scan_.boot, scan_.boot_seen),
                "counts on from there");
        judge_contents();
        judge_deliveries();
        judge_queues();
        for (const auto& [id, job] : scan_.jobs) judge_job(id, job);
        judge_ledger();
        for (const std::string& key : scan_.unbounded_keys)
            add(Kind::idempotency, fmt::format("idempotency key {} never expires", hex(key)),
                "writes the row that expires it");
        return std::move(findings_);
    }

  private:
    void add(Kind kind, std::string what, std::string mend) {
        size_t& count = counts_[{kind, mend}];
        if (++count <= listed_max) {
            findings_.push_back({kind, std::move(what), std::move(mend)});
            return;
        }
        const auto last = std::ranges::find_if(findings_.rbegin(), findings_.rend(), [&](auto& f) {
            return f.kind == kind && f.mend == mend;
        });
        ++last->more;
    }

    void judge_contents() {
        for (const JobId id : scan_.markers_without_content)
            if (!open(id))
                add(Kind::orphan, fmt::format("the large content of job {} is gone", to_text(id)),
                    "drops the note of it");
        for (const JobId id : scan_.contents_without_marker)
            if (!open(id))
                add(Kind::orphan,
                    fmt::format("a large content of job {} that nobody finds", to_text(id)),
                    "drops it");
    }

    bool open(JobId id) const {
        const auto job = scan_.jobs.find(id);
        return job != scan_.jobs.end() && job->second.rows > 0;
    }

    void judge_deliveries() {
        for (const DeliveryId id : scan_.ended_rows)
            add(Kind::delivery,
                fmt::format("delivery {} has ended and still waits: it would be sent again",
                            to_text(id)),
                "removes it from its queue");
        for (size_t i = 1; i < scan_.rows.size(); ++i)
            if (scan_.rows[i].key.id == scan_.rows[i - 1].key.id)
                add(Kind::delivery,
                    fmt::format("delivery {} waits twice: it would be sent twice",
                                to_text(scan_.rows[i].key.id)),
                    "keeps the one with more attempts");
    }

    void judge_queues() {
        std::set<QueueId> used;
        for (const ScannedRow& row : scan_.rows) used.insert(row.key.queue);
        for (const auto& [id, info] : scan_.queues)
            if (!info && used.contains(id))
                add(Kind::queue,
                    fmt::format(
                        "queue {:016x}{:016x} has deliveries and no row that fits: they would "
                        "never be sent",
                        id.high, id.low),
                    "writes the row anew");
    }

    void judge_job(JobId id, const ScannedJob& job) {
        const std::string name = to_text(id);
        if (job.rows > 0 && !job.has_row)
            add(Kind::job, fmt::format("job {} has {} open deliveries and no row", name, job.rows),
                "writes the row anew from an event");
        if (job.rows > 0 && !job.content)
            add(Kind::content,
                fmt::format("the content of job {} is missing; {} deliveries wait for it", name,
                            job.rows),
                "ends them as bounced: there is nothing left to send");
        if (job.rows == 0 && job.content && !(job.has_row && !job.complete))
            add(Kind::orphan, fmt::format("the content of job {} is of no more use", name),
                "drops it");
        if (!job.counts_known) return;
        const auto open = static_cast<int64_t>(job.counts.open());
        const auto rows = static_cast<int64_t>(job.rows);
        if (open > rows)
            add(Kind::delivery,
                fmt::format("job {} counts {} open deliveries and {} are there", name, open, rows),
                "ends the missing ones as bounced, with an event for each that can be named");
        else if (open < rows)
            add(Kind::job,
                fmt::format("job {} counts {} open deliveries and {} are there", name, open, rows),
                "counts anew");
        else if (scan_.tells_all(job) && !(job.seen == job.counts))
            add(Kind::job,
                fmt::format("job {} counts {}; its events say {}", name, text_of(job.counts),
                            text_of(job.seen)),
                "counts anew");
    }

    void judge_ledger() {
        std::set<std::string> tenants;
        for (const auto& [tenant, counts] : scan_.ledger) tenants.insert(tenant);
        for (const auto& [tenant, rows] : scan_.rows_of_tenant) tenants.insert(tenant);
        for (const std::string& tenant : tenants) {
            const auto counts = scan_.ledger.find(tenant);
            const auto rows = scan_.rows_of_tenant.find(tenant);
            const auto waiting = rows == scan_.rows_of_tenant.end() ? 0 : rows->second;
            const JobCounts told = counts == scan_.ledger.end() ? JobCounts{} : counts->second;
            if (told.open() != waiting)
                add(Kind::ledger,
                    fmt::format("tenant {}: the ledger says {}, and {} deliveries are there",
                                tenant, text_of(told), waiting),
                    "makes accepted what has ended and what is there");
        }
    }

    const Scan& scan_;
    std::map<std::pair<Kind, std::string>, size_t> counts_;
    std::vector<FsckFinding> findings_;
};

}  // namespace

std::string in_words(const Gap& gap) {
    return fmt::format("family {}: keys behind {} up to {}", name_of(gap.family),
                       key_text(gap.family, gap.after),
                       gap.before.empty() ? "the end" : key_text(gap.family, gap.before));
}

std::vector<FsckFinding> findings_of(const Scan& scan) {
    return Judge(scan).run();
}

std::string_view to_string(FsckFinding::Kind kind) {
    constexpr std::string_view words[] = {"file",        "unreadable", "record", "content",
                                          "job",         "delivery",   "queue",  "ledger",
                                          "idempotency", "orphan"};
    return words[static_cast<size_t>(kind)];
}

}  // namespace storage
