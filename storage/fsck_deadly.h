// Tables at which RocksDB ends the process that opens them: it parses a table's properties before
// it looks at their checksum, and Debian's is built with assertions.
#pragma once

#include <filesystem>
#include <vector>

namespace storage {

/// Each table there is opened in a child, before any database is. Where no child can be had none is
/// found.
std::vector<std::filesystem::path> deadly_tables(const std::filesystem::path& directory);

}  // namespace storage
