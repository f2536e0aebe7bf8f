// Reading a family to its end, whatever is damaged in it.
#pragma once

#include <rocksdb/db.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/families.h"

namespace storage {

/// A range of keys that cannot be read.
struct Gap {
    Family family{};
    std::string after;   // the last key before it that could be read; empty: none
    std::string before;  // a bound: keys from here on can be read again; empty: none can
    std::string why;     // RocksDB's words, with the file's name
};

/// Calls `row` with each key and value that can be read, in order, and returns what cannot. Where
/// two damaged blocks stand near each other, what is sound between them may count as part of one
/// gap.
std::vector<Gap> read_patiently(
    rocksdb::DB&, rocksdb::ColumnFamilyHandle*, Family,
    const std::function<void(std::string_view key, std::string_view value)>& row);

/// The least key behind `after`, or `end`, from which rows can be read again up to the next damage.
std::string readable_from(rocksdb::DB&, rocksdb::ColumnFamilyHandle*, const std::string& after,
                          const std::string& end);

std::string_view name_of(Family);

}  // namespace storage
