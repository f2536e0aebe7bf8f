// The configuration: a TOML file read into one immutable value, or into the list of everything that
// is wrong with it.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "engine/delivery/settings.h"
#include "engine/message/dkim_entry.h"
#include "ingest/tenants.h"
#include "ingest/webhook.h"
#include "metrics/log.h"

namespace ingest {

struct Listen {
    std::vector<std::string> http, smtp;    // "unix:/path", "127.0.0.1:8025", "tls:0.0.0.0:465"
    std::vector<std::string> smtp_trusted;  // networks whose peers submit without AUTH
    std::string metrics;                    // "ip:port"; empty: none
    std::string admin_key_sha256;           // 32 octets; empty: operators have no key
};

/// Of the listeners; what deliveries do is the engine's.
struct ServerTls {
    std::string certificate, key;  // files; empty: no TLS
};

/// [[pool]], its sources by name.
struct PoolEntry {
    std::string name;
    std::vector<std::string> sources;
    engine::TotalLimits total;
};

struct Config {
    std::filesystem::path file;  // that it was read from; empty: the defaults alone
    engine::Settings delivery;
    std::filesystem::path data_dir;
    std::filesystem::path log_dir;  // of the write-ahead log; empty: in data_dir
    bool core_dumps = false;
    unsigned shards = 0;   // 0: one per core
    unsigned signers = 0;  // 0: one per core
    std::vector<engine::DkimEntry> dkim;
    std::string organization, contact;  // of who runs this node, for reports to others
    Listen listen;
    ServerTls tls;
    std::vector<std::string> provider_files;
    std::vector<engine::SourceSettings>
        sources;  // as the file has them; `delivery` has what follows
    std::vector<PoolEntry> pools;
    std::vector<Tenant> tenants;
    std::vector<Credential> credentials;
    std::vector<Webhook> webhooks;
    std::vector<std::string> dns_servers;                       // "ip:port"; empty: the system's
    metrics::log::Level log_level = metrics::log::Level::info;  // of the command line

    /// One setting as it is in force, for `sluice check` and the admin API.
    struct Effective {
        std::string name;    // "retry.expires", "provider.google.connections"
        std::string value;   // as TOML
        std::string origin;  // "sluice.toml:12" or "default"
        std::string digest{};  // of a value that is not shown
    };
    std::vector<Effective> effective;
    /// A file that it was read from, or that a setting names: what is in it counts as well.
    struct File {
        std::string path;
        std::string digest;  // of its contents; empty: it could not be read
    };
    std::vector<File> files;  // the first one is `file`
    bool watch = false;       // of these files
    std::chrono::system_clock::time_point loaded{};
    std::string hash() const;  // of the contents of all files, in hex: the same on equal nodes
    std::vector<std::string> warnings;  // legal, and probably not meant
};

struct ConfigProblem {
    std::string file;
    uint32_t line = 0, column = 0;  // from 1; 0: the file as a whole
    std::string what;               // "[retry] expires: \"3x\" is not a duration"
    std::string mend;               // how to mend it; may be empty
};
using ConfigProblems = std::vector<ConfigProblem>;
std::string to_string(const ConfigProblem& problem);  // "sluice.toml:12:9: what; mend"

/// Reads a text; `file` is its name in problems. All problems at once, in the order of the file,
/// but a text that is no TOML has only one: the first. The node's name stays empty when the text
/// does not set it.
std::expected<Config, ConfigProblems> parse_config(std::string_view text, std::string_view file);

/// What the contents of these files come to now.
std::string hash_of(const std::vector<Config::File>& files);

/// Reads a file, or the defaults when `path` is empty, and fills in what depends on this host: the
/// node's name.
std::expected<Config, ConfigProblems> load_config(const std::filesystem::path& path);

}  // namespace ingest
