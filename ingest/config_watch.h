// ConfigWatch: whether somebody has changed the configuration's files. By looking at them once a
// second: that sees every way of changing a file (a rename, a link that points elsewhere as Kubernetes
// does it, a file system of another host) in the same way, and is some ten stat(2) a second.
#pragma once

#include <sys/stat.h>

#include <array>
#include <string>
#include <vector>

#include "ingest/config.h"

namespace ingest {

class ConfigWatch {
  public:
    explicit ConfigWatch(const Config& in_force) : tried_(in_force.hash()) {}

    /// Once a second. True, once for each state of the files: they hold something else than when it
    /// was last true, and have been still since the look before.
    bool has_changed(const Config& in_force);

  private:
    using Stamp = std::array<int64_t, 4>;  // inode, size, time of change: seconds, nanoseconds
    static Stamp stamp_of(const std::string& path);

    std::vector<Stamp> seen_;
    bool known_ = false;  // what is seen has been looked into
    std::string tried_;   // hash of the contents
};

}  // namespace ingest
