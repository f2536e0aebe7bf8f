#include "storage/in_doubt_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

namespace storage {

namespace fs = std::filesystem;

namespace {

/// The first page of a file, and then the slots.
struct Header {
    std::array<char, 8> magic;
    uint32_t version;
    uint32_t boot;                 // of the daemon that wrote last
    std::array<char, 36> machine;  // the kernel's own id of this start of the machine
};
constexpr std::array<char, 8> magic{'s', 'l', 'd', 'o', 'u', 'b', 't', '\n'};
constexpr uint32_t version = 1;
constexpr size_t header_bytes = 4096;
constexpr size_t slots_bytes = InDoubtJournal::slots_max * sizeof(InDoubtJournal::Slot);
constexpr size_t file_bytes = header_bytes + slots_bytes;
constexpr std::string_view suffix = ".journal";

/// All zeros where it cannot be read: then every start counts as one of the machine.
std::array<char, 36> machine_start() {
    std::array<char, 36> id{};
    std::ifstream("/proc/sys/kernel/random/boot_id").read(id.data(), id.size());
    return id;
}

Error failed(const fs::path& path, const char* doing) {
    const int code = errno;
    const bool full = code == ENOSPC || code == EDQUOT;
    return {full ? Errc::no_space : Errc::io,
            fmt::format("cannot {} {}: {}; {}", doing, path.string(), std::strerror(code),
                        full ? "make room on its file system"
                             : "data_dir needs a local file system on which files can be mapped")};
}

class Descriptor {
  public:
    explicit Descriptor(int fd) : fd_(fd) {}
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int get() const { return fd_; }
    int take() { return std::exchange(fd_, -1); }

  private:
    int fd_;
};

/// Zeros, written and not only reserved: a store into a block that the disk has cannot fail for
/// want of room, which would end the process (SIGBUS).
bool fill(int fd) {
    const std::vector<char> zeros(size_t{1} << 20);
    for (size_t done = 0; done < file_bytes;) {
        const size_t piece = std::min(zeros.size(), file_bytes - done);
        const ssize_t wrote = ::pwrite(fd, zeros.data(), piece, static_cast<off_t>(done));
        if (wrote <= 0) return false;
        done += static_cast<size_t>(wrote);
    }
    return ::fsync(fd) == 0;
}

bool sync_directory(const fs::path& path) {
    const Descriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return directory.get() >= 0 && ::fsync(directory.get()) == 0;
}

}  // namespace

struct InDoubtFiles::File {
    int fd = -1;
    char* bytes = nullptr;

    File(int descriptor, char* mapped) : fd(descriptor), bytes(mapped) {}
    ~File() {
        ::munmap(bytes, file_bytes);
        ::close(fd);
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;

    std::span<InDoubtJournal::Slot> slots() const {
        return {reinterpret_cast<InDoubtJournal::Slot*>(bytes + header_bytes),
                InDoubtJournal::slots_max};
    }
};

InDoubtFiles::InDoubtFiles() = default;
InDoubtFiles::~InDoubtFiles() = default;

Result<std::unique_ptr<InDoubtFiles>> InDoubtFiles::open(const fs::path& data_dir, uint16_t shards,
                                                         uint32_t boot) {
    std::unique_ptr<InDoubtFiles> files(new InDoubtFiles);
    files->boot_ = boot;
    files->directory_ = data_dir / "in_doubt";
    std::error_code wrong;
    fs::create_directory(files->directory_, wrong);
    if (wrong) {
        errno = wrong.value();
        return std::unexpected(failed(files->directory_, "make"));
    }
    const auto path_of = [&](size_t shard) {
        return files->directory_ / (std::to_string(shard) + std::string(suffix));
    };
    for (const auto& entry : fs::directory_iterator(files->directory_, wrong)) {
        if (entry.path().extension() != suffix) continue;
        if (auto read = files->read_old(entry.path()); !read) return std::unexpected(read.error());
        bool is_ours = false;
        for (size_t shard = 0; shard < shards; ++shard) is_ours |= entry.path() == path_of(shard);
        if (!is_ours) files->of_no_shard_.push_back(entry.path());
    }
    std::ranges::sort(files->left_);
    for (size_t shard = 0; shard < shards; ++shard) {
        if (auto mapped = files->map(path_of(shard)); !mapped)
            return std::unexpected(mapped.error());
    }
    if (!sync_directory(files->directory_) || !sync_directory(data_dir))
        return std::unexpected(failed(files->directory_, "sync"));
    return files;
}

/// Another daemon's shards, or this one's last time.
Result<void> InDoubtFiles::read_old(const fs::path& path) {
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.get() < 0) return std::unexpected(failed(path, "open"));
    const off_t size = ::lseek(file.get(), 0, SEEK_END);
    if (size != static_cast<off_t>(file_bytes)) {
        damage_.push_back(fmt::format("{} has {} bytes and should have {}; it is made anew",
                                      path.string(), size, file_bytes));
        return {};
    }
    void* const mapped = ::mmap(nullptr, file_bytes, PROT_READ, MAP_SHARED, file.get(), 0);
    if (mapped == MAP_FAILED) return std::unexpected(failed(path, "map"));
    const char* const bytes = static_cast<const char*>(mapped);
    Header header;
    std::memcpy(&header, bytes, sizeof header);
    const bool untouched = header.version == 0 && header.magic == std::array<char, 8>{};
    const bool known = header.magic == magic && header.version == version;
    const InDoubtLeft found =
        read_slots({reinterpret_cast<const InDoubtJournal::Slot*>(bytes + header_bytes),
                    InDoubtJournal::slots_max});
    ::munmap(mapped, file_bytes);
    if (!known && !untouched) {
        damage_.push_back(
            fmt::format("{} is of another version, or no journal; it is made anew", path.string()));
        return {};
    }
    if (found.damaged > 0) {
        damage_.push_back(fmt::format("{} entries of {} cannot be read and are left out",
                                      found.damaged, path.string()));
    }
    if (known && header.machine != machine_start()) machine_restarted_ = true;
    left_.insert(left_.end(), found.entries.begin(), found.entries.end());
    return {};
}

Result<void> InDoubtFiles::map(const fs::path& path) {
    Descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (file.get() < 0) return std::unexpected(failed(path, "open"));
    if (::lseek(file.get(), 0, SEEK_END) != static_cast<off_t>(file_bytes)) {
        if (::ftruncate(file.get(), 0) != 0 || !fill(file.get()))
            return std::unexpected(failed(path, "write"));
    }
    void* const mapped =
        ::mmap(nullptr, file_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    if (mapped == MAP_FAILED) return std::unexpected(failed(path, "map"));
    files_.push_back(std::make_unique<File>(file.take(), static_cast<char*>(mapped)));
    journals_.push_back(std::make_unique<InDoubtJournal>(files_.back()->slots(), boot_));
    return {};
}

void InDoubtFiles::begin() {
    left_.clear();
    for (const fs::path& path : of_no_shard_) {
        std::error_code gone_already;
        fs::remove(path, gone_already);
    }
    for (const auto& file : files_) {
        for (InDoubtJournal::Slot& slot : file->slots())
            if (slot.seal.load(std::memory_order_relaxed) != 0)
                slot.seal.store(0, std::memory_order_release);
        const Header header{magic, version, boot_, machine_start()};
        std::memcpy(file->bytes, &header, sizeof header);
    }
}

void InDoubtFiles::start_writeback(uint16_t shard) const {
    (void)::sync_file_range(files_.at(shard)->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

}  // namespace storage
