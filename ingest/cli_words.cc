#include "ingest/cli_words.h"

#include <fmt/format.h>

#include <algorithm>

#include "ingest/did_you_mean.h"

namespace ingest {

namespace {
constexpr auto default_server = "unix:/run/sluice/ingest.sock";
}  // namespace

std::optional<Config> configuration(const std::string& file) {
    auto config = load_config(file);
    if (config) {
        for (const auto& warning : config->warnings)
            fmt::print(stderr, "sluice: warning: {}\n", warning);
        return std::move(*config);
    }
    for (const auto& problem : config.error()) fmt::print(stderr, "{}\n", to_string(problem));
    return std::nullopt;
}

std::optional<ClientOptions> client(const Words& words) {
    if (!words.server.empty()) return ClientOptions{words.server, words.output()};
    if (words.config_file.empty()) return ClientOptions{default_server, words.output()};
    const auto config = configuration(words.config_file);
    if (!config) return std::nullopt;
    const auto& listeners = config->listen.http;
    const auto plain = std::ranges::find_if(
        listeners, [](const std::string& address) { return !address.starts_with("tls:"); });
    if (plain == listeners.end()) {
        fmt::print(stderr,
                   "{}: [listen] http has no listener without TLS, so this command cannot ask the "
                   "daemon; name an address with --server\n",
                   words.config_file);
        return std::nullopt;
    }
    return ClientOptions{*plain, words.output()};
}

void add_config(CLI::App& command, Words& words) {
    command.add_option("-c,--config", words.config_file,
                       "Configuration file; without it the defaults");
}
void add_json(CLI::App& command, Words& words) {
    command.add_flag("--json", words.json, "Print JSON instead of text for people");
}
void add_client(CLI::App& command, Words& words) {
    command.add_option("--server", words.server,
                       "Where the daemon listens: unix:/path or ip:port; default: the first "
                       "[listen] http of --config, or "
                       "unix:/run/sluice/ingest.sock");
    add_config(command, words);
    add_json(command, words);
}

std::optional<std::string> unknown_command(const CLI::App& app, std::string_view word) {
    std::vector<std::string> names;
    for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
    if (word.empty() || word.starts_with('-') || std::ranges::find(names, word) != names.end())
        return std::nullopt;
    const std::vector<std::string_view> known(names.begin(), names.end());
    const std::string near = did_you_mean(word, known);
    return fmt::format(
        "sluice: unknown command '{}'; {}", word,
        near.empty() ? "`sluice --help` lists them" : fmt::format("did you mean {}?", near));
}

}  // namespace ingest
