// A file system that fails on demand: writes and syncs that go wrong, a disk that fills, and power
// cuts after which only what was synced is sure to be there. It lies over the machine's file
// system, so RocksDB works on real files.
#pragma once

#include <rocksdb/file_system.h>

#include <array>
#include <atomic>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <string>

namespace storage::tests {

class FaultyFs final : public rocksdb::FileSystemWrapper {
  public:
    enum class Operation : uint8_t { append, sync, create, rename, remove, sync_directory };
    static constexpr size_t operation_count = 6;

    FaultyFs();
    ~FaultyFs() override;
    static const char* kClassName() { return "FaultyFs"; }
    const char* Name() const override { return kClassName(); }

    /// Makes operations fail whose file name holds `name_part`, once `pass` of them have succeeded,
    /// `times` times.
    struct Fault {
        Operation operation{};
        std::string name_part;  // "" is every file; ".log" is the write-ahead log
        uint64_t pass = 0;
        uint64_t times = UINT64_MAX;
        rocksdb::IOStatus status = rocksdb::IOStatus::IOError("injected fault");
        bool cuts_power = false;  // the power goes with the operation
    };
    void fail(Fault);
    void clear_faults();

    /// Bytes that may still be written; what is deleted gives room again. nullopt: as much as the
    /// disk has.
    void set_room(std::optional<uint64_t> bytes);

    /// From now on nothing reaches the disk and every operation fails. Close the store, then
    /// restore_power().
    void cut_power();
    /// The power goes with the operation that makes operations() reach `count`; that one is not
    /// done.
    void cut_power_at(uint64_t count);
    bool powered() const { return powered_; }

    /// Forgets what was not sure to be on disk, and works again. Of bytes written after a file's
    /// last sync a random part is kept, perhaps with holes, as a disk does that reorders; of
    /// creations, renames and removals since the directory's last sync only a random number of the
    /// first. No file may be open for writing.
    void restore_power(std::mt19937_64& random);

    uint64_t operations() const;  // all that change something, failed ones too
    uint64_t operations(Operation) const;
    uint64_t injected() const;  // operations that a fault has made fail
    uint64_t log_syncs() const;

    rocksdb::IOStatus NewSequentialFile(const std::string&, const rocksdb::FileOptions&,
                                        std::unique_ptr<rocksdb::FSSequentialFile>*,
                                        rocksdb::IODebugContext*) override;
    rocksdb::IOStatus NewRandomAccessFile(const std::string&, const rocksdb::FileOptions&,
                                          std::unique_ptr<rocksdb::FSRandomAccessFile>*,
                                          rocksdb::IODebugContext*) override;
    rocksdb::IOStatus NewWritableFile(const std::string&, const rocksdb::FileOptions&,
                                      std::unique_ptr<rocksdb::FSWritableFile>*,
                                      rocksdb::IODebugContext*) override;
    rocksdb::IOStatus ReopenWritableFile(const std::string&, const rocksdb::FileOptions&,
                                         std::unique_ptr<rocksdb::FSWritableFile>*,
                                         rocksdb::IODebugContext*) override;
    rocksdb::IOStatus ReuseWritableFile(const std::string&, const std::string&,
                                        const rocksdb::FileOptions&,
                                        std::unique_ptr<rocksdb::FSWritableFile>*,
                                        rocksdb::IODebugContext*) override;
    rocksdb::IOStatus NewRandomRWFile(const std::string&, const rocksdb::FileOptions&,
                                      std::unique_ptr<rocksdb::FSRandomRWFile>*,
                                      rocksdb::IODebugContext*) override;
    rocksdb::IOStatus NewDirectory(const std::string&, const rocksdb::IOOptions&,
                                   std::unique_ptr<rocksdb::FSDirectory>*,
                                   rocksdb::IODebugContext*) override;
    rocksdb::IOStatus DeleteFile(const std::string&, const rocksdb::IOOptions&,
                                 rocksdb::IODebugContext*) override;
    rocksdb::IOStatus RenameFile(const std::string&, const std::string&, const rocksdb::IOOptions&,
                                 rocksdb::IODebugContext*) override;
    rocksdb::IOStatus LinkFile(const std::string&, const std::string&, const rocksdb::IOOptions&,
                               rocksdb::IODebugContext*) override;
    rocksdb::IOStatus Truncate(const std::string&, size_t, const rocksdb::IOOptions&,
                               rocksdb::IODebugContext*) override;
    rocksdb::IOStatus GetFreeSpace(const std::string&, const rocksdb::IOOptions&, uint64_t*,
                                   rocksdb::IODebugContext*) override;

  private:
    friend class FaultyWritableFile;
    friend class FaultyDirectory;

    // A change of a directory that its next sync makes sure.
    struct Change {
        Operation kind{};
        std::string name;   // created, renamed to, or removed
        std::string from;   // renamed from
        std::string saved;  // hard link to what the change took away; empty when nothing
    };

    /// Counts the operation and says whether it may go on.
    rocksdb::IOStatus begin(Operation, const std::string& name);
    uint64_t take_room(uint64_t bytes);  // how many of them fit
    void give_room(uint64_t bytes);
    void written(const std::string& name, uint64_t size);
    void synced(const std::string& name, uint64_t size);
    void synced_directory(const std::string& directory);
    void created(const std::string& name);
    std::string save(const std::string& name);  // links it aside
    void undo(const Change&);
    void forget_tail(const std::string& name, uint64_t synced, uint64_t seed);

    mutable std::mutex mutex_;
    std::atomic<bool> powered_{true};
    std::optional<uint64_t> cut_at_;
    std::array<uint64_t, operation_count> counts_{};
    uint64_t injected_ = 0, log_syncs_ = 0;
    std::deque<Fault> faults_;
    std::optional<uint64_t> room_;
    std::map<std::string, uint64_t>
        synced_sizes_;  // of files written since the power was last restored
    std::map<std::string, std::deque<Change>> pending_;  // by directory, oldest first
    std::string aside_;  // where taken away files are kept; beside the data
    uint64_t saves_ = 0;
};

}  // namespace storage::tests
