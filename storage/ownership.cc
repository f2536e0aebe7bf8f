#include "storage/ownership.h"

#include <sys/stat.h>
#include <unistd.h>

namespace storage {

void give_to_owner_of_parent(const std::filesystem::path& fresh) {
    struct stat owner{};
    if (::geteuid() != 0 || ::stat(fresh.parent_path().c_str(), &owner) != 0) return;
    // What stays root's is told by the daemon's start, with its path.
    if (::lchown(fresh.c_str(), owner.st_uid, owner.st_gid) != 0) return;
}

void give_to_owner_of(const std::filesystem::path& directory) {
    struct stat owner{};
    if (::geteuid() != 0 || ::stat(directory.c_str(), &owner) != 0) return;
    std::error_code error;
    for (auto at = std::filesystem::recursive_directory_iterator(directory, error);
         !error && at != std::filesystem::recursive_directory_iterator(); at.increment(error))
        if (::lchown(at->path().c_str(), owner.st_uid, owner.st_gid) != 0) continue;
}

}  // namespace storage
