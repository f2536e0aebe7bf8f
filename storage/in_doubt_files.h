// InDoubtFiles: the journals of all shards, each a mapped file in data_dir/in_doubt. What they say
// after a kill -9 is exact: the page cache has every slot as it was. After a power cut they say
// what the disk has: what start_writeback() had begun to write some moments before, and slots that
// may have been cleared since. So an entry counts only where the row is still as the attempt found
// it, and who reads them is told that the machine was restarted.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "storage/in_doubt_journal.h"

namespace storage {

class InDoubtFiles {
  public:
    /// Maps the files, makes those that are missing, and reads what is in them. After Store::open,
    /// which keeps other processes out. Errors: io, no_space.
    static Result<std::unique_ptr<InDoubtFiles>> open(const std::filesystem::path& data_dir,
                                                      uint16_t shards, uint32_t boot);
    ~InDoubtFiles();
    InDoubtFiles(const InDoubtFiles&) = delete;
    InDoubtFiles& operator=(const InDoubtFiles&) = delete;

    /// Of the process before, in order, until begin().
    const std::vector<InDoubt>& left() const { return left_; }
    /// Whether the machine was restarted since they were written: entries may be missing, and some
    /// may say too much.
    bool machine_restarted() const { return machine_restarted_; }
    /// Slots or files that could not be read, in words for the log.
    const std::vector<std::string>& damage() const { return damage_; }

    /// Forgets what was left, once it is dealt with for good. Nothing is put into a journal before.
    void begin();
    InDoubtJournal& journal(uint16_t shard) { return *journals_.at(shard); }

    /// Any thread: lets the kernel begin to write what has changed, and waits for nothing. Now and
    /// then, for the sake of what a power cut leaves.
    void start_writeback(uint16_t shard) const;

  private:
    struct File;
    InDoubtFiles();
    Result<void> read_old(const std::filesystem::path& path);
    Result<void> map(const std::filesystem::path& path);

    uint32_t boot_ = 0;
    std::filesystem::path directory_;
    std::vector<std::unique_ptr<File>> files_;  // by shard
    std::vector<std::filesystem::path> of_no_shard_;
    std::vector<std::unique_ptr<InDoubtJournal>> journals_;
    std::vector<InDoubt> left_;
    std::vector<std::string> damage_;
    bool machine_restarted_ = false;
};

}  // namespace storage
