// What the commands of the command line share: the words they are read into, the options that
// several have, and where the daemon is. One file declares the commands of one kind (cli_*.cc).
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/commands.h"

namespace ingest {

constexpr int wrong_usage = 2;

/// What the options are read into; one command is called with its part.
struct Words {
    std::string config_file, server;
    bool json = false;
    std::string log_level = "info";
    std::string file;
    bool follow = false, offline = false;
    bool new_password = false, api_key = false;
    bool gzip = false;
    ReachWords reach;
    PauseOptions pause;
    ResumeOptions resume;
    CancelOptions cancel;
    bool yes = false;
    SuppressOptions suppress;
    std::vector<std::string> suppressed;  // addresses, or a file
    TlsReportOptions tls_report;
    InDoubtOptions in_doubt;
    EventsOptions events;
    TraceOptions trace;
    bool content = false;
    CheckOptions check;
    SendOptions send;
    ClassifyOptions classify;
    ListOptions list;
    WhyOptions why;
    ExplainOptions explain;
    ImportOptions import;
    FsckCommandOptions fsck;
    BackupOptions backup;
    RestoreOptions restore;
    bool once = false, dry_run = false;
    std::string document;  // a shell, or the page that is wanted
    std::string folder;    // where man pages go
    bool markdown = false;

    Output output() const { return json ? Output::json : Output::text; }
};

/// What is left to do when the words are read: parsing is over before anything happens.
using Run = std::function<int()>;

void describe_views(CLI::App& app, Words& words, Run& run);   // commands that look
void describe_mail(CLI::App& app, Words& words, Run& run);    // that hand over and send mail
void describe_orders(CLI::App& app, Words& words, Run& run);  // that change what is sent
void describe_suppress(CLI::App& app, Words& words, Run& run);
void describe_upkeep(CLI::App& app, Words& words, Run& run);  // for the host and the queue's files
void describe_config(CLI::App& app, Words& words, Run& run);    // about the configuration
void describe_documents(CLI::App& app, Words& words, Run& run);  // completions, manual pages

/// Prints everything that is wrong with a configuration. nullopt: nothing can be done with it.
std::optional<Config> configuration(const std::string& file);
/// Where the daemon listens: --server, or the first HTTP listener of --config, or the usual socket.
std::optional<ClientOptions> client(const Words& words);

template <class Call>
int with_client(const Words& words, Call call) {
    const auto options = client(words);
    return options ? call(*options) : wrong_usage;
}

void add_config(CLI::App& command, Words& words);
void add_json(CLI::App& command, Words& words);
void add_client(CLI::App& command, Words& words);

/// What an unknown command was meant to be. nullopt: it is one.
std::optional<std::string> unknown_command(const CLI::App& app, std::string_view word);

}  // namespace ingest
