#include "storage/families.h"

#include <rocksdb/filter_policy.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/table_properties_collectors.h>

#include "storage/compaction_pace.h"
#include "storage/ledger.h"

namespace storage {

namespace {

constexpr size_t mebibyte = size_t{1} << 20;

// Of all memtables together; RocksDB flushes the oldest beyond it.
size_t memtable_bytes_max(size_t memory_bytes) {
    return memory_bytes / 3 * 2;
}
// Blocks that were read, indexes and filters.
size_t block_cache_bytes(size_t memory_bytes) {
    return memory_bytes / 3;
}

// One busy family must not keep the whole log alive for the quiet ones; also what a start has to
// replay, at about 100 MiB/s (README.md).
constexpr size_t wal_bytes_max = 64 * mebibyte;
constexpr double bloom_bits_per_key = 10;

enum class Bloom : uint8_t { none, whole_key };

// What the options of every family depend on.
struct Shared {
    std::shared_ptr<rocksdb::Cache> cache;
    size_t memtable_bytes = 0;  // of all families
};

/// The memtable of this family may take `share` of the memory for all of them before it is flushed.
rocksdb::ColumnFamilyOptions family_options(const Shared& shared, Bloom bloom, double share) {
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = shared.cache;
    table.block_size = 16 << 10;
    table.format_version = 5;
    table.cache_index_and_filter_blocks =
        true;  // or they would grow with the queue, outside every limit
    table.pin_l0_filter_and_index_blocks_in_cache = true;
    if (bloom == Bloom::whole_key)
        table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(bloom_bits_per_key));

    rocksdb::ColumnFamilyOptions options;
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    options.write_buffer_size =
        static_cast<size_t>(static_cast<double>(shared.memtable_bytes) * share);
    options.level_compaction_dynamic_level_bytes = true;
    options.compression = rocksdb::kLZ4Compression;
    options.bottommost_compression = rocksdb::kZSTD;
    return options;
}

rocksdb::ColumnFamilyOptions content_options(const Shared& shared) {
    auto options = family_options(shared, Bloom::whole_key, 0.25);
    options.enable_blob_files = true;
    options.min_blob_size = large_content_min;
    options.blob_compression_type = rocksdb::kZSTD;
    options.blob_file_size = 128 * mebibyte;
    options.enable_blob_garbage_collection = true;
    options.blob_garbage_collection_age_cutoff = 0.5;
    options.blob_garbage_collection_force_threshold = 0.5;
    return options;
}

rocksdb::ColumnFamilyOptions delivery_options(const Shared& shared) {
    auto options = family_options(shared, Bloom::none, 0.25);
    // The head of a busy queue is all tombstones; files full of them are compacted at once, or
    // every refill of the window would walk over yesterday's deliveries.
    options.table_properties_collector_factories = {
        rocksdb::NewCompactOnDeletionCollectorFactory(1024, 512, 0.5)};
    // A commit puts its rows in the order of their keys: the memtable goes on from where the last
    // one went. Without the option it does so only for keys that follow each other directly.
    options.memtable_insert_with_hint_prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(0));
    // Each file of a backlog spans all queues, so each compaction writes all of the backlog again.
    options.level0_file_num_compaction_trigger = 8;
    options.level0_slowdown_writes_trigger = 24;
    options.level0_stop_writes_trigger = 48;
    return options;
}

rocksdb::ColumnFamilyOptions event_options(const Shared& shared) {
    auto options = family_options(shared, Bloom::none, 0.125);
    // Keys only ascend, so files never overlap and move down the levels without being rewritten;
    // they may only do so when all levels are compressed alike.
    options.compression = rocksdb::kZSTD;
    options.compression_opts.level = 1;
    options.bottommost_compression = rocksdb::kDisableCompressionOption;
    return options;
}

}  // namespace

rocksdb::DBOptions database_options(size_t memory_bytes) {
    rocksdb::DBOptions options;
    options.create_if_missing = true;
    options.create_missing_column_families = true;
    options.paranoid_checks = true;
    options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
    options.track_and_verify_wals_in_manifest = true;
    options.max_total_wal_size = wal_bytes_max;
    options.db_write_buffer_size = memtable_bytes_max(memory_bytes);
    // The default of 1 MiB holds three mails of 50 KiB: the groups of several shards would not
    // share a sync.
    options.max_write_batch_group_size_bytes = 16 * mebibyte;
    // Keys of all families come nearly in order, and only the plain insert remembers where the one
    // before went: half of what a commit cost in memory was finding that place again.
    options.allow_concurrent_memtable_write = false;
    // One flush and two compactions: one of deliveries may take its time (compaction_pace.h), and
    // the other families go on beside it.
    options.max_background_jobs = 3;
    options.rate_limiter = make_compaction_pace();
    options.listeners.push_back(make_compaction_watch());
    options.max_open_files = 512;
    options.bytes_per_sync =
        mebibyte;  // a flush of 32 MiB must not stand in front of the log's next sync
    options.stats_dump_period_sec = 0;
    options.stats_persist_period_sec = 0;
    options.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
    options.keep_log_file_num = 4;
    options.max_log_file_size = 4 * mebibyte;
    return options;
}

std::vector<rocksdb::ColumnFamilyDescriptor> family_descriptors(size_t memory_bytes) {
    const Shared shared{.cache = rocksdb::NewLRUCache(block_cache_bytes(memory_bytes)),
                        .memtable_bytes = memtable_bytes_max(memory_bytes)};
    auto meta = family_options(shared, Bloom::none, 0.03);
    meta.merge_operator = make_tenant_merge();
    auto job = family_options(shared, Bloom::whole_key, 0.125);
    job.merge_operator = make_job_merge();
    return {{rocksdb::kDefaultColumnFamilyName, meta},
            {"content", content_options(shared)},
            {"queue", family_options(shared, Bloom::whole_key, 0.03)},
            {"delivery", delivery_options(shared)},
            {"event", event_options(shared)},
            {"idempotency", family_options(shared, Bloom::whole_key, 0.06)},
            {"job", job},
            {"suppression", family_options(shared, Bloom::whole_key, 0.06)}};
}

}  // namespace storage
