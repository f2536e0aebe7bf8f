// A reload: the configuration read anew and proven whole, before anything of it is put in force.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "engine/message/dkim_keys.h"
#include "engine/net/tls_context.h"
#include "engine/reactor/task.h"
#include "ingest/config_change.h"

namespace ingest {

/// What a configuration needs beside its own values to be put in force.
struct Readied {
    std::shared_ptr<const Config> config;
    std::shared_ptr<const engine::DkimKeys> keys;
    std::shared_ptr<const engine::TlsContext> listeners_tls;  // null: they have none
    std::vector<ConfigChange> changes;                        // to what was in force
    std::vector<std::string> files;  // whose contents are others, of those that settings name
};

/// Reads the files of `now` again, with the keys and certificates that they name; blocks. What needs
/// a restart is as in `now`. The error is everything that is wrong.
std::expected<Readied, ConfigProblems> read_anew(const Config& now);

std::expected<std::shared_ptr<const engine::DkimKeys>, std::string> load_keys(
    const std::vector<engine::DkimEntry>& entries);
std::expected<std::shared_ptr<const engine::TlsContext>, std::string> load_listeners_tls(
    const ServerTls& tls);

enum class ReloadHow : uint8_t { in_force, dry_run };

struct ReloadReport {
    ConfigProblems problems;  // some: nothing has changed
    std::vector<ConfigChange> changes;
    std::vector<std::string> files, warnings;
    std::string hash;  // of what was read
};

/// Whoever can do it.
class Reloader {
  public:
    virtual ~Reloader() = default;
    /// Returns when all shards go by the new configuration.
    virtual engine::Task<ReloadReport> reload(ReloadHow how) = 0;
};

}  // namespace ingest
