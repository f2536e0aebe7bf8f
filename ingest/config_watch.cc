#include "ingest/config_watch.h"

#include <utility>

namespace ingest {

ConfigWatch::Stamp ConfigWatch::stamp_of(const std::string& path) {
    struct stat file{};
    if (stat(path.c_str(), &file) != 0) return {};
    return {static_cast<int64_t>(file.st_ino), file.st_size, file.st_mtim.tv_sec,
            file.st_mtim.tv_nsec};
}

bool ConfigWatch::has_changed(const Config& in_force) {
    std::vector<Stamp> now;
    for (const Config::File& file : in_force.files) now.push_back(stamp_of(file.path));
    if (now != seen_) {  // somebody may still be writing
        seen_ = std::move(now);
        known_ = false;
        return false;
    }
    if (std::exchange(known_, true)) return false;
    std::string hash = hash_of(in_force.files);
    if (hash == tried_) return false;
    tried_ = std::move(hash);
    return true;
}

}  // namespace ingest
