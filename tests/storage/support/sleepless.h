// RocksDB without its patience: after a background write that failed it sleeps a second before it
// tries again, also when it is being closed. A test that cuts the power a thousand times cannot.
#pragma once

#include <rocksdb/db.h>

#include <memory>

namespace storage::tests {

/// For StoreOptions::adjust; `file_system` as in StoreOptions.
class Sleepless {
  public:
    explicit Sleepless(std::shared_ptr<rocksdb::FileSystem> file_system);
    void operator()(rocksdb::DBOptions&, std::vector<rocksdb::ColumnFamilyDescriptor>&) const;

  private:
    std::shared_ptr<rocksdb::Env> env_;
};

}  // namespace storage::tests
