// RocksDB's statuses as errors for the operator: what could not be done, why, and how to mend it.
#pragma once

#include <rocksdb/status.h>

#include <string_view>

#include "storage/types.h"

namespace storage {

/// `doing` is a phrase such as "commit to /var/lib/sluice".
Error error_of(const rocksdb::Status&, std::string_view doing);

/// A record that RocksDB's checksums let through and that still cannot be read.
Error bad_record(std::string_view family, std::string_view key);

}  // namespace storage
