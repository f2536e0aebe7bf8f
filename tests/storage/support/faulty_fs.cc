#include "tests/storage/support/faulty_fs.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "tests/storage/support/records.h"

namespace storage::tests {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

namespace {

constexpr uint64_t sector_bytes = 512;

std::string directory_of(const std::string& name) {
    return std::filesystem::path(name).lexically_normal().parent_path().string();
}
std::string normal(const std::string& name) {
    return std::filesystem::path(name).lexically_normal().string();
}
uint64_t size_on_disk(const std::string& name) {
    std::error_code error;
    const uint64_t size = std::filesystem::file_size(name, error);
    return error ? 0 : size;
}
IOStatus no_power() {
    return IOStatus::IOError("injected: no power");
}

}  // namespace

class FaultyWritableFile final : public rocksdb::FSWritableFileOwnerWrapper {
  public:
    FaultyWritableFile(FaultyFs& fs, std::string name, uint64_t size,
                       std::unique_ptr<rocksdb::FSWritableFile> file)
        : FSWritableFileOwnerWrapper(std::move(file)),
          fs_(fs),
          name_(std::move(name)),
          size_(size) {}

    IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* dbg) override {
        if (IOStatus status = fs_.begin(FaultyFs::Operation::append, name_); !status.ok())
            return status;
        const uint64_t fits = fs_.take_room(data.size());
        const IOStatus status = target()->Append(Slice(data.data(), fits), options, dbg);
        if (!status.ok()) return status;
        size_ += fits;
        fs_.written(name_, size_);
        return fits == data.size() ? status : IOStatus::NoSpace("injected: no room for", name_);
    }
    IOStatus Append(const Slice& data, const IOOptions& options,
                    const rocksdb::DataVerificationInfo&, IODebugContext* dbg) override {
        return Append(data, options, dbg);
    }
    IOStatus PositionedAppend(const Slice&, uint64_t, const IOOptions&, IODebugContext*) override {
        return IOStatus::NotSupported("FaultyFs has no direct writes");
    }
    IOStatus PositionedAppend(const Slice&, uint64_t, const IOOptions&,
                              const rocksdb::DataVerificationInfo&, IODebugContext*) override {
        return IOStatus::NotSupported("FaultyFs has no direct writes");
    }
    IOStatus Truncate(uint64_t size, const IOOptions& options, IODebugContext* dbg) override {
        if (!fs_.powered()) return no_power();
        const IOStatus status = target()->Truncate(size, options, dbg);
        if (status.ok()) fs_.written(name_, size_ = size);
        return status;
    }
    IOStatus Sync(const IOOptions& options, IODebugContext* dbg) override {
        const uint64_t size = size_;
        if (IOStatus status = fs_.begin(FaultyFs::Operation::sync, name_); !status.ok())
            return status;
        // Not passed on: a test's power cuts are ours, and a real sync would only slow them down.
        const IOStatus status = target()->Flush(options, dbg);
        if (status.ok()) fs_.synced(name_, size);
        return status;
    }
    IOStatus Fsync(const IOOptions& options, IODebugContext* dbg) override {
        return Sync(options, dbg);
    }
    // Promises nothing: it only starts the writing.
    IOStatus RangeSync(uint64_t, uint64_t, const IOOptions&, IODebugContext*) override {
        return fs_.powered() ? IOStatus::OK() : no_power();
    }
    IOStatus Allocate(uint64_t, uint64_t, const IOOptions&, IODebugContext*) override {
        return IOStatus::OK();
    }

  private:
    FaultyFs& fs_;
    std::string name_;
    std::atomic<uint64_t> size_;
};

class FaultyDirectory final : public rocksdb::FSDirectoryWrapper {
  public:
    FaultyDirectory(FaultyFs& fs, std::string name, std::unique_ptr<rocksdb::FSDirectory> directory)
        : FSDirectoryWrapper(std::move(directory)), fs_(fs), name_(std::move(name)) {}

    IOStatus Fsync(const IOOptions&, IODebugContext*) override {
        if (IOStatus status = fs_.begin(FaultyFs::Operation::sync_directory, name_); !status.ok())
            return status;
        fs_.synced_directory(name_);
        return IOStatus::OK();
    }
    IOStatus FsyncWithDirOptions(const IOOptions& options, IODebugContext* dbg,
                                 const rocksdb::DirFsyncOptions&) override {
        return Fsync(options, dbg);
    }

  private:
    FaultyFs& fs_;
    std::string name_;
};

FaultyFs::FaultyFs() : FileSystemWrapper(rocksdb::FileSystem::Default()) {
    aside_ = (temporary_root() / "sluice-aside-XXXXXX").string();
    if (!::mkdtemp(aside_.data())) throw std::runtime_error("no temporary directory");
}

FaultyFs::~FaultyFs() {
    std::error_code ignored;
    std::filesystem::remove_all(aside_, ignored);
}

void FaultyFs::fail(Fault fault) {
    const std::lock_guard lock(mutex_);
    faults_.push_back(std::move(fault));
}

void FaultyFs::clear_faults() {
    const std::lock_guard lock(mutex_);
    faults_.clear();
}

void FaultyFs::set_room(std::optional<uint64_t> bytes) {
    const std::lock_guard lock(mutex_);
    room_ = bytes;
}

void FaultyFs::cut_power() {
    powered_ = false;
}

void FaultyFs::cut_power_at(uint64_t count) {
    const std::lock_guard lock(mutex_);
    cut_at_ = count;
}

uint64_t FaultyFs::operations() const {
    const std::lock_guard lock(mutex_);
    uint64_t sum = 0;
    for (const uint64_t count : counts_) sum += count;
    return sum;
}

uint64_t FaultyFs::operations(Operation operation) const {
    const std::lock_guard lock(mutex_);
    return counts_[static_cast<size_t>(operation)];
}

uint64_t FaultyFs::injected() const {
    const std::lock_guard lock(mutex_);
    return injected_;
}

uint64_t FaultyFs::log_syncs() const {
    const std::lock_guard lock(mutex_);
    return log_syncs_;
}

void FaultyFs::restore_power(std::mt19937_64& random) {
    const std::lock_guard lock(mutex_);
    for (auto& [directory, changes] : pending_) {
        const size_t kept = random() % (changes.size() + 1);
        while (changes.size() > kept) {
            undo(changes.back());
            changes.pop_back();
        }
        for (const Change& change : changes)
            if (!change.saved.empty()) std::filesystem::remove(change.saved);
    }
    pending_.clear();
    // A file's fate hangs on its name and the seed, not on which other files there happen to be:
    // RocksDB removes what it no longer needs when it likes.
    const uint64_t seed = random();
    for (const auto& [name, size] : synced_sizes_) forget_tail(name, size, seed);
    synced_sizes_.clear();
    faults_.clear();
    cut_at_.reset();
    powered_ = true;
}

void FaultyFs::undo(const Change& change) {
    std::error_code ignored;
    if (change.kind == Operation::rename) {
        std::filesystem::rename(change.name, change.from, ignored);
        const auto moved = synced_sizes_.find(change.name);
        if (moved != synced_sizes_.end()) {
            synced_sizes_[change.from] = moved->second;
            synced_sizes_.erase(change.name);
        }
    } else if (change.kind == Operation::create) {
        std::filesystem::remove(change.name, ignored);
        synced_sizes_.erase(change.name);
    }
    if (!change.saved.empty()) std::filesystem::rename(change.saved, change.name, ignored);
}

void FaultyFs::forget_tail(const std::string& name, uint64_t synced, uint64_t seed) {
    std::mt19937_64 random(
        seed ^ std::hash<std::string>{}(std::filesystem::path(name).filename().string()));
    const uint64_t size = size_on_disk(name);
    if (size <= synced) return;
    const uint64_t tail = size - synced;
    // Nothing, all, or some of it: each of them is usual.
    const uint64_t kept = std::array{uint64_t{0}, tail, random() % (tail + 1)}[random() % 3];
    std::filesystem::resize_file(name, synced + kept);
    if (kept == 0 || random() % 2 == 0) return;
    const int fd = ::open(name.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0) return;
    const std::string hole(sector_bytes, '\0');
    for (uint64_t at = synced; at < synced + kept; at += sector_bytes - at % sector_bytes) {
        const uint64_t length = std::min(sector_bytes - at % sector_bytes, synced + kept - at);
        if (random() % 4 == 0 && ::pwrite(fd, hole.data(), length, static_cast<off_t>(at)) < 0)
            break;
    }
    ::close(fd);
}

IOStatus FaultyFs::begin(Operation operation, const std::string& name) {
    const std::lock_guard lock(mutex_);
    ++counts_[static_cast<size_t>(operation)];
    if (operation == Operation::sync && name.ends_with(".log")) ++log_syncs_;
    if (cut_at_) {
        uint64_t sum = 0;
        for (const uint64_t count : counts_) sum += count;
        if (sum >= *cut_at_) powered_ = false;
    }
    if (!powered_) return no_power();
    for (Fault& fault : faults_) {
        if (fault.operation != operation || !name.contains(fault.name_part)) continue;
        if (fault.pass > 0) {
            --fault.pass;
            continue;
        }
        if (fault.times == 0) continue;
        --fault.times;
        ++injected_;
        if (fault.cuts_power) powered_ = false;
        return fault.status;
    }
    return IOStatus::OK();
}

uint64_t FaultyFs::take_room(uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    if (!room_) return bytes;
    const uint64_t fits = std::min(bytes, *room_);
    *room_ -= fits;
    return fits;
}

void FaultyFs::give_room(uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    if (room_) *room_ += bytes;
}

void FaultyFs::written(const std::string& name, uint64_t size) {
    const std::lock_guard lock(mutex_);
    uint64_t& synced_size = synced_sizes_.try_emplace(name, 0).first->second;
    synced_size = std::min(synced_size, size);
}

void FaultyFs::synced(const std::string& name, uint64_t size) {
    const std::lock_guard lock(mutex_);
    synced_sizes_[name] = size;
}

void FaultyFs::synced_directory(const std::string& directory) {
    const std::lock_guard lock(mutex_);
    std::error_code ignored;
    for (const Change& change : pending_[directory])
        if (!change.saved.empty()) std::filesystem::remove(change.saved, ignored);
    pending_.erase(directory);
}

void FaultyFs::created(const std::string& name) {
    const std::lock_guard lock(mutex_);
    synced_sizes_[name] = 0;
    pending_[directory_of(name)].push_back({.kind = Operation::create, .name = name});
}

std::string FaultyFs::save(const std::string& name) {
    if (!std::filesystem::exists(name)) return {};
    const std::lock_guard lock(mutex_);
    std::string link = aside_ + "/" + std::to_string(++saves_);
    std::error_code gone;  // another thread of RocksDB's may have been faster
    std::filesystem::create_hard_link(name, link, gone);
    return gone ? std::string() : link;
}

IOStatus FaultyFs::NewSequentialFile(const std::string& name, const FileOptions& options,
                                     std::unique_ptr<rocksdb::FSSequentialFile>* file,
                                     IODebugContext* dbg) {
    return powered_ ? target()->NewSequentialFile(name, options, file, dbg) : no_power();
}

IOStatus FaultyFs::NewRandomAccessFile(const std::string& name, const FileOptions& options,
                                       std::unique_ptr<rocksdb::FSRandomAccessFile>* file,
                                       IODebugContext* dbg) {
    return powered_ ? target()->NewRandomAccessFile(name, options, file, dbg) : no_power();
}

IOStatus FaultyFs::NewWritableFile(const std::string& given, const FileOptions& options,
                                   std::unique_ptr<rocksdb::FSWritableFile>* file,
                                   IODebugContext* dbg) {
    const std::string name = normal(given);
    if (IOStatus status = begin(Operation::create, name); !status.ok()) return status;
    std::unique_ptr<rocksdb::FSWritableFile> made;
    const IOStatus status = target()->NewWritableFile(name, options, &made, dbg);
    if (!status.ok()) return status;
    created(name);
    *file = std::make_unique<FaultyWritableFile>(*this, name, 0, std::move(made));
    return status;
}

IOStatus FaultyFs::ReopenWritableFile(const std::string& given, const FileOptions& options,
                                      std::unique_ptr<rocksdb::FSWritableFile>* file,
                                      IODebugContext* dbg) {
    const std::string name = normal(given);
    const bool is_new = !std::filesystem::exists(name);
    if (IOStatus status = begin(Operation::create, name); !status.ok()) return status;
    std::unique_ptr<rocksdb::FSWritableFile> made;
    const IOStatus status = target()->ReopenWritableFile(name, options, &made, dbg);
    if (!status.ok()) return status;
    if (is_new) created(name);
    const uint64_t size = size_on_disk(name);
    {
        const std::lock_guard lock(mutex_);
        synced_sizes_.try_emplace(name, size);  // what was there before this run counts as synced
    }
    *file = std::make_unique<FaultyWritableFile>(*this, name, size, std::move(made));
    return status;
}

// Recycled logs hold old records behind the new ones; the store does not use them.
IOStatus FaultyFs::ReuseWritableFile(const std::string&, const std::string&, const FileOptions&,
                                     std::unique_ptr<rocksdb::FSWritableFile>*, IODebugContext*) {
    return IOStatus::NotSupported("FaultyFs does not recycle files");
}

IOStatus FaultyFs::NewRandomRWFile(const std::string&, const FileOptions&,
                                   std::unique_ptr<rocksdb::FSRandomRWFile>*, IODebugContext*) {
    return IOStatus::NotSupported("FaultyFs only appends");
}

IOStatus FaultyFs::NewDirectory(const std::string& name, const IOOptions& options,
                                std::unique_ptr<rocksdb::FSDirectory>* directory,
                                IODebugContext* dbg) {
    if (!powered_) return no_power();
    std::unique_ptr<rocksdb::FSDirectory> made;
    const IOStatus status = target()->NewDirectory(name, options, &made, dbg);
    // A trailing slash would give the directory another name than its files have.
    if (status.ok())
        *directory =
            std::make_unique<FaultyDirectory>(*this, directory_of(name + "/x"), std::move(made));
    return status;
}

IOStatus FaultyFs::DeleteFile(const std::string& given, const IOOptions& options,
                              IODebugContext* dbg) {
    const std::string name = normal(given);
    if (IOStatus status = begin(Operation::remove, name); !status.ok()) return status;
    const uint64_t size = size_on_disk(name);
    std::string saved = save(name);
    const IOStatus status = target()->DeleteFile(name, options, dbg);
    if (!status.ok()) return status;
    give_room(size);
    const std::lock_guard lock(mutex_);
    pending_[directory_of(name)].push_back(
        {.kind = Operation::remove, .name = name, .saved = std::move(saved)});
    return status;
}

IOStatus FaultyFs::RenameFile(const std::string& given_from, const std::string& given_to,
                              const IOOptions& options, IODebugContext* dbg) {
    const std::string from = normal(given_from);
    const std::string to = normal(given_to);
    if (IOStatus status = begin(Operation::rename, to); !status.ok()) return status;
    std::string saved = save(to);
    const IOStatus status = target()->RenameFile(from, to, options, dbg);
    if (!status.ok()) return status;
    const std::lock_guard lock(mutex_);
    const auto moved = synced_sizes_.find(from);
    if (moved != synced_sizes_.end()) {
        synced_sizes_[to] = moved->second;
        synced_sizes_.erase(from);
    } else {
        synced_sizes_.erase(to);
    }
    pending_[directory_of(to)].push_back(
        {.kind = Operation::rename, .name = to, .from = from, .saved = std::move(saved)});
    return status;
}

IOStatus FaultyFs::LinkFile(const std::string&, const std::string&, const IOOptions&,
                            IODebugContext*) {
    return IOStatus::NotSupported("FaultyFs does not link files");
}

IOStatus FaultyFs::Truncate(const std::string& given, size_t size, const IOOptions& options,
                            IODebugContext* dbg) {
    if (!powered_) return no_power();
    const IOStatus status = target()->Truncate(given, size, options, dbg);
    if (!status.ok()) return status;
    const std::lock_guard lock(mutex_);
    uint64_t& synced_size = synced_sizes_.try_emplace(normal(given), size).first->second;
    synced_size = std::min<uint64_t>(synced_size, size);
    return status;
}

IOStatus FaultyFs::GetFreeSpace(const std::string& path, const IOOptions& options, uint64_t* free,
                                IODebugContext* dbg) {
    const IOStatus status = target()->GetFreeSpace(path, options, free, dbg);
    const std::lock_guard lock(mutex_);
    if (status.ok() && room_) *free = std::min(*free, *room_);
    return status;
}

}  // namespace storage::tests
