// Where the write-ahead log lies, when an operator wants it on another disk than the data. The
// place is written down in data_dir, and the directory of the log says whose it is: a log that is
// mounted elsewhere, or not at all, must not be taken for an empty one.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>

#include "storage/types.h"

namespace storage {

class LogPlace {
  public:
    /// `rocksdb` is RocksDB's directory within data_dir, which is where the log lies when nobody
    /// has said otherwise; `wanted` is empty for that.
    LogPlace(std::filesystem::path data_dir, std::filesystem::path rocksdb,
             std::filesystem::path wanted);

    /// Makes the log lie where it is wanted and returns its directory. `settle` writes what the log
    /// in a directory holds into tables, so that the log is of no more use; it is called when the
    /// place has changed. Errors say which place was expected and what to do.
    Result<std::filesystem::path> take(
        const std::function<Result<void>(const std::filesystem::path& logs)>& settle);

    const std::filesystem::path& wanted() const { return wanted_; }

    /// Where the log lies now, or the error that take() would give; changes nothing.
    Result<std::filesystem::path> current() const;

  private:
    struct Record {
        std::filesystem::path logs;
        std::string token;  // of this store
    };
    struct Step {
        enum class What : uint8_t { none, claim, settle };
        What what = What::none;
        std::filesystem::path from;  // of `settle`
        std::string token;
    };
    Result<std::optional<Record>> recorded() const;
    Result<Step> decide() const;
    Result<void> check_owner() const;
    Result<void> move(const std::filesystem::path& from, const std::string& token,
                      const std::function<Result<void>(const std::filesystem::path&)>& settle);
    Result<void> claim(const std::string& token) const;  // the wanted place, and writes it down

    std::filesystem::path data_dir_, rocksdb_, wanted_;  // wanted_: the directory of the log itself
};

}  // namespace storage
