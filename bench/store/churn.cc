#include "bench/store/churn.h"

#include <fmt/format.h>
#include <rocksdb/db.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>
#include <rocksdb/statistics.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <random>

#include "bench/store/measure.h"
#include "storage/ids.h"
#include "storage/store.h"

namespace bench {

using namespace storage;

namespace {

// Small memory makes in seconds what a day makes of a large one: a flush for every 10 MB or so.
constexpr size_t memory_bytes = size_t{24} << 20;
constexpr uint32_t rounds = 400;
constexpr auto round_time = std::chrono::seconds(60);
constexpr uint32_t mails_a_round = 200;  // of one recipient and 2 KiB
constexpr uint32_t large_a_round = 10;   // of one recipient and 40 KiB
constexpr uint32_t campaign_every = 20, held_every = 80, campaign_recipients = 4000;
constexpr uint32_t domains = 200;
constexpr size_t group_size = 256;
constexpr auto event_retention = std::chrono::seconds(round_time * 120);
constexpr uint32_t collect_every = 10;  // rounds

using Descriptors = std::vector<rocksdb::ColumnFamilyDescriptor>;

rocksdb::ColumnFamilyOptions& family(Descriptors& all, std::string_view name) {
    return std::ranges::find(all, name, &rocksdb::ColumnFamilyDescriptor::name)->options;
}

// What was compared; storage/README.md says what came of it.
const std::map<std::string, void (*)(rocksdb::DBOptions&, Descriptors&)> variants = {
    {"", [](rocksdb::DBOptions&, Descriptors&) {}},
    {"=universal",
     [](rocksdb::DBOptions&, Descriptors& all) {
         auto& delivery = family(all, "delivery");
         delivery.compaction_style = rocksdb::kCompactionStyleUniversal;
         delivery.level_compaction_dynamic_level_bytes = false;
     }},
    {"=universal-content",
     [](rocksdb::DBOptions&, Descriptors& all) {
         auto& content = family(all, "content");
         content.compaction_style = rocksdb::kCompactionStyleUniversal;
         content.level_compaction_dynamic_level_bytes = false;
     }},
    {"=no-deletion-trigger",
     [](rocksdb::DBOptions&, Descriptors& all) {
         family(all, "delivery").table_properties_collector_factories.clear();
     }},
    {"=no-blobs", [](rocksdb::DBOptions&,
                     Descriptors& all) { family(all, "content").enable_blob_files = false; }},
    {"=no-blob-gc",
     [](rocksdb::DBOptions&, Descriptors& all) {
         family(all, "content").enable_blob_garbage_collection = false;
     }},
    {"=eager-blob-gc",
     [](rocksdb::DBOptions&, Descriptors& all) {
         family(all, "content").blob_garbage_collection_age_cutoff = 1.0;
     }},
    {"=small-blob-files",
     [](rocksdb::DBOptions&, Descriptors& all) {
         family(all, "content").blob_file_size = 16 << 20;
     }},
    {"=all-blobs",
     [](rocksdb::DBOptions&, Descriptors& all) { family(all, "content").min_blob_size = 1024; }},
    {"=no-bottom-zstd",
     [](rocksdb::DBOptions&, Descriptors& all) {
         for (auto& one : all)
             one.options.bottommost_compression = rocksdb::kDisableCompressionOption;
     }},
    {"=no-compression",
     [](rocksdb::DBOptions&, Descriptors& all) {
         for (auto& one : all) {
             one.options.compression = rocksdb::kNoCompression;
             one.options.bottommost_compression = rocksdb::kDisableCompressionOption;
         }
     }},
    {"=zstd-everywhere",
     [](rocksdb::DBOptions&, Descriptors& all) {
         for (auto& one : all) one.options.compression = rocksdb::kZSTD;
     }},
    {"=lz4-events",
     [](rocksdb::DBOptions&, Descriptors& all) {
         family(all, "event").compression = rocksdb::kLZ4Compression;
     }},
    {"=zstd-log",
     [](rocksdb::DBOptions& db, Descriptors&) { db.wal_compression = rocksdb::kZSTD; }},
    {"=recycled-logs", [](rocksdb::DBOptions& db, Descriptors&) { db.recycle_log_file_num = 2; }},
};

/// Plays the rounds. What is due ends or is put off; what is handed over is counted.
class Churn {
  public:
    Churn(Store& store) : store_(store) {}

    void run() {
        for (round_ = 0; round_ < rounds; ++round_) {
            for (uint32_t i = 0; i < mails_a_round; ++i) accept(1, words(2048, jobs_), 0);
            for (uint32_t i = 0; i < large_a_round; ++i) accept(1, words(40 << 10, jobs_), 0);
            if (round_ % campaign_every == 0)
                accept(campaign_recipients, words(60 << 10, jobs_), 0);
            if (round_ % held_every == 0)
                accept(campaign_recipients, words(60 << 10, jobs_), rounds - 20);
            play();
        }
    }
    /// No more comes, and what is there ends.
    void finish() {
        for (; !due_.empty(); ++round_) play();
        for (uint32_t i = 0; i < 600; i += collect_every, round_ += collect_every) play();
    }
    uint64_t deliveries() const { return deliveries_; }
    uint64_t deferrals() const { return deferrals_; }
    uint64_t log_bytes() const { return log_bytes_; }

  private:
    struct Open {
        Delivery row;
        uint32_t deferrals = 0;  // still to come
    };

    void play() {
        for (Open& open : std::exchange(due_[round_], {})) attempt(std::move(open));
        due_.erase(round_);
        flush();
        if (round_ % collect_every == 0) must(store_.collect(now()));
    }
    WallTime now() const { return noon + round_ * round_time; }

    void accept(uint32_t recipients, std::string content, uint32_t held_until) {
        const JobId id = make_job_id({.time = now(), .counter = static_cast<uint16_t>(++jobs_)});
        Batch& batch = group_.emplace_back();
        batch.jobs.push_back({.id = id,
                              .tenant = "acme",
                              .campaign = "november",
                              .pool = "default",
                              .sender = "bounce@news.example.com",
                              .created = now(),
                              .content = std::move(content)});
        batch.job_ends.push_back(id);
        for (uint32_t i = 0; i < recipients; ++i) {
            const uint64_t domain = random_() % domains;
            Delivery row = delivery_of(id, i, {domain * 0x9e3779b97f4a7c15ULL, domain});
            const uint32_t first =
                std::max(held_until, round_ + (recipients > 1 ? i * 8 / recipients : 0));
            row.due = noon + first * round_time + std::chrono::milliseconds(i);
            batch.events.push_back(event_of(Event::Type::accepted, row));
            batch.events.back().time = now();
            batch.puts.push_back(row);
            // Six of ten go at once, some are put off once or twice, a few for a day.
            const auto luck = random_() % 10;
            const uint32_t deferrals = luck < 6 ? 0 : luck < 8 ? 1 : luck < 9 ? 3 : 8;
            later(first == round_ ? round_ : first, {std::move(row), deferrals});
            ++deliveries_;
        }
        if (group_.size() >= group_size || recipients > 1) flush();
    }

    void later(uint32_t round, Open open) { due_[round].push_back(std::move(open)); }

    void attempt(Open open) {
        Batch& batch = group_.emplace_back();
        batch.removes.push_back(key_of(open.row));
        const bool put_off = open.deferrals > 0;
        batch.events.push_back(
            event_of(put_off ? Event::Type::deferred : Event::Type::delivered, open.row));
        batch.events.back().time = now();
        if (put_off) {
            ++deferrals_;
            --open.deferrals;
            const uint32_t step = 1U << std::min(++open.row.attempts, 5U);
            open.row.due =
                noon + (round_ + step) * round_time + std::chrono::milliseconds(open.row.id.index);
            batch.puts.push_back(open.row);
            later(round_ + step, std::move(open));
        }
        if (group_.size() >= group_size) flush();
    }

    void flush() {
        if (group_.empty()) return;
        log_bytes_ += must(store_.commit(group_, 0, ++groups_)).bytes;
        group_.clear();
    }

    Store& store_;
    std::mt19937_64 random_{1};
    uint32_t round_ = 0;
    uint64_t jobs_ = 0, groups_ = 0, deliveries_ = 0, deferrals_ = 0, log_bytes_ = 0;
    std::vector<Batch> group_;
    std::map<uint32_t, std::vector<Open>> due_;
};

/// What flushes and compactions write, by family.
class Writes final : public rocksdb::EventListener {
  public:
    void OnFlushCompleted(rocksdb::DB*, const rocksdb::FlushJobInfo& job) override {
        add(job.cf_name, job.table_properties.data_size, 0);
    }
    void OnCompactionCompleted(rocksdb::DB*, const rocksdb::CompactionJobInfo& job) override {
        add(job.cf_name, 0, job.stats.total_output_bytes);
    }
    std::string text() {
        const std::lock_guard lock(mutex_);
        std::string out;
        for (const auto& [name, bytes] : families_)
            out += fmt::format("{}{} {:.1f} + {:.1f}", out.empty() ? "" : ", ", name,
                               static_cast<double>(bytes.first) / 1e6,
                               static_cast<double>(bytes.second) / 1e6);
        return out;
    }

  private:
    void add(const std::string& family, uint64_t flushed, uint64_t compacted) {
        const std::lock_guard lock(mutex_);
        families_[family].first += flushed;
        families_[family].second += compacted;
    }
    std::mutex mutex_;
    std::map<std::string, std::pair<uint64_t, uint64_t>> families_;
};

double held(const std::filesystem::path& directory, std::string_view extension) {
    uint64_t sum = 0;
    for (const auto& entry : std::filesystem::directory_iterator(directory / "rocksdb"))
        if (entry.path().extension() == extension) sum += entry.file_size();
    return static_cast<double>(sum) / 1e6;
}

}  // namespace

bool churn(const std::filesystem::path& directory, const std::string& variant) {
    const auto adjust = variants.find(variant);
    if (adjust == variants.end()) {
        for (const auto& [name, unused] : variants) fmt::print(stderr, "churn{}\n", name);
        return false;
    }
    const auto place = directory / ("churn" + variant);
    const auto statistics = rocksdb::CreateDBStatistics();
    const auto writes = std::make_shared<Writes>();
    auto store = must(Store::open({.data_dir = place,
                                   .event_retention = event_retention,
                                   .job_retention = event_retention,
                                   .memory_bytes = memory_bytes,
                                   .adjust = [&](rocksdb::DBOptions& db, Descriptors& all) {
                                       db.statistics = statistics;
                                       db.listeners.push_back(writes);
                                       adjust->second(db, all);
                                   }}));
    const double cpu = cpu_seconds();
    const uint64_t disk = disk_bytes();
    Churn play(*store);
    play.run();
    const double used = cpu_seconds() - cpu;
    const auto count = [&](uint32_t ticker) {
        return static_cast<double>(statistics->getTickerCount(ticker)) / 1e6;
    };
    const double log = static_cast<double>(play.log_bytes()) / 1e6;
    const double written = static_cast<double>(disk_bytes() - disk) / 1e6;
    fmt::print(
        "churn{}: {} deliveries, {} deferrals; {:.0f} MB handed over, {:.0f} MB written (x{:.2f}): "
        "log {:.0f}, flush {:.0f}, compaction {:.0f} (read {:.0f}), blobs {:.0f}; {:.1f} us CPU a "
        "delivery\n",
        variant, play.deliveries(), play.deferrals(), log, written, written / log,
        count(rocksdb::WAL_FILE_BYTES), count(rocksdb::FLUSH_WRITE_BYTES),
        count(rocksdb::COMPACT_WRITE_BYTES), count(rocksdb::COMPACT_READ_BYTES),
        count(rocksdb::BLOB_DB_BLOB_FILE_BYTES_WRITTEN),
        used * 1e6 / static_cast<double>(play.deliveries()));
    fmt::print("churn{}: MB flushed + compacted: {}\n", variant, writes->text());
    const auto print_held = [&](const char* when) {
        fmt::print("churn{}: {}: tables {:.1f} MB, blobs {:.1f} MB, {} rows\n", variant, when,
                   held(place, ".sst"), held(place, ".blob"), store->delivery_rows().first);
    };
    print_held("held at the end");
    play.finish();
    print_held("held when all has ended");
    store.reset();
    std::filesystem::remove_all(place);
    return true;
}

}  // namespace bench
