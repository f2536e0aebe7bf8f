// One group of batches as one RocksDB write batch.
#pragma once

#include <rocksdb/write_batch.h>

#include "storage/state.h"

namespace storage {

/// What becomes of one row of a queue.
struct RowChange {
    DeliveryKey key;
    const Delivery* put = nullptr;  // null: removed
};

class GroupWriter {
  public:
    /// `bytes_expected`: room for the write batch, so that it need not be copied as it grows.
    GroupWriter(std::span<rocksdb::ColumnFamilyHandle* const> families, AcceptMark mark,
                size_t bytes_expected = 0)
        : families_(families), mark_(mark), batch_(bytes_expected) {}

    void add(const Batch&, uint64_t first_seq);  // all but the rows of deliveries
    void add(std::span<const RowChange> in_key_order);
    void add(const Additions&);
    void drop_content(const UselessContent&);
    rocksdb::WriteBatch& batch() { return batch_; }

  private:
    void put(Family, const std::string& key);  // with what is in value_
    void put_content(const Job&);
    void put_delivery(const std::string& key, const Delivery&);
    void put_idempotency(const IdempotencyRecord&);
    rocksdb::ColumnFamilyHandle* family(Family f) const {
        return families_[static_cast<size_t>(f)];
    }

    std::span<rocksdb::ColumnFamilyHandle* const> families_;
    AcceptMark mark_;
    rocksdb::WriteBatch batch_;
    Writer value_;
};

}  // namespace storage
