// A range of one family, read in the order of its keys.
#pragma once

#include <rocksdb/db.h>

#include <memory>
#include <string>
#include <string_view>

namespace storage {

class Range {
  public:
    enum class Caching : uint8_t {
        keep,
        pass_through
    };  // pass_through: long walks must not empty the cache

    /// From `begin` to before `end`; an empty `end` is the end of the family.
    Range(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family, std::string_view begin,
          std::string end, Caching caching = Caching::keep,
          const rocksdb::Snapshot* snapshot = nullptr)
        : end_(std::move(end)), bound_(end_) {
        rocksdb::ReadOptions options;
        if (!end_.empty()) options.iterate_upper_bound = &bound_;
        options.snapshot = snapshot;
        if (caching == Caching::pass_through) {
            options.fill_cache = false;
            options.readahead_size = readahead_bytes;
        }
        rows_.reset(db.NewIterator(options, family));
        rows_->Seek(rocksdb::Slice(begin.data(), begin.size()));
    }
    Range(const Range&) = delete;
    Range& operator=(const Range&) = delete;

    /// False at the end and after an error; then ask status().
    bool valid() const { return rows_->Valid(); }
    void next() { rows_->Next(); }
    void seek(std::string_view key) { rows_->Seek(rocksdb::Slice(key.data(), key.size())); }
    std::string_view key() const { return {rows_->key().data(), rows_->key().size()}; }
    std::string_view value() const { return {rows_->value().data(), rows_->value().size()}; }
    rocksdb::Status status() const { return rows_->status(); }

  private:
    static constexpr size_t readahead_bytes = size_t{1} << 20;

    std::string end_;
    rocksdb::Slice bound_;
    std::unique_ptr<rocksdb::Iterator> rows_;
};

}  // namespace storage
