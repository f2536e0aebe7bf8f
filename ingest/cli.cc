#include "ingest/cli.h"

#include <fmt/format.h>

#include <span>
#include <vector>

#include "ingest/cli_words.h"
#include "ingest/did_you_mean.h"
#include "ingest/version.h"

namespace ingest {

namespace {
metrics::log::Level level_of(std::string_view word) {
    using metrics::log::Level;
    if (word == "debug") return Level::debug;
    if (word == "warn") return Level::warn;
    return word == "error" ? Level::error : Level::info;
}

int run_serve(const Words& words, Serve serve) {
    auto config = configuration(words.config_file);
    if (!config) return wrong_usage;
    config->log_level = level_of(words.log_level);
    return serve(*config);
}

/// The program's words. Its callbacks set `run`.
void describe(CLI::App& app, Words& words, Serve daemon, Run& run) {
    app.require_subcommand(1);
    app.set_version_flag("--version", std::string(version));

    auto* serve = app.add_subcommand("serve", "Run the daemon");
    add_config(*serve, words);
    serve->add_option("--log-level", words.log_level, "debug, info, warn or error")
        ->check(CLI::IsMember({"debug", "info", "warn", "error"}));
    serve->callback(
        [&words, daemon, &run] { run = [&words, daemon] { return run_serve(words, daemon); }; });

    describe_views(app, words, run);
    describe_mail(app, words, run);
    describe_orders(app, words, run);
    describe_suppress(app, words, run);
    describe_upkeep(app, words, run);
    describe_config(app, words, run);
    describe_documents(app, words, run);
}

/// What CLI11 says of wrong usage, and the option that was meant.
std::string explain(const CLI::App& command, const CLI::ParseError& error,
                    std::span<const std::string_view> given) {
    std::string text = error.what();
    if (const size_t line_end = text.find('\n'); line_end != std::string::npos)
        text.resize(line_end);
    std::vector<std::string> names;
    for (const CLI::Option* option : command.get_options()) {
        for (const auto& name : option->get_lnames()) names.push_back("--" + name);
    }
    const std::vector<std::string_view> known(names.begin(), names.end());
    for (const auto word : given) {
        const auto name = word.substr(0, word.find('='));
        if (!name.starts_with("--") || std::ranges::find(known, name) != known.end()) continue;
        const std::string near = did_you_mean(name, known);
        return near.empty() ? fmt::format("unknown option {}", name)
                            : fmt::format("unknown option {}; did you mean {}?", name, near);
    }
    return text;
}
}  // namespace

int run_command_line(int argc, const char* const* argv, Serve serve) {
    CLI::App app("Sluice: a bulk outbound mail engine", "sluice");
    Words words;
    Run run;
    describe(app, words, serve, run);
    const std::vector<std::string_view> given(argv + std::min(argc, 1), argv + argc);
    if (!given.empty()) {
        if (const auto unknown = unknown_command(app, given.front())) {
            fmt::print(stderr, "{}\n", *unknown);
            return wrong_usage;
        }
    }
    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& asked) {  // --help, --version
        return app.exit(asked);
    } catch (const CLI::ParseError& error) {
        const bool in_command = !given.empty() && !given.front().starts_with('-');
        const CLI::App& command =
            in_command ? *app.get_subcommand(std::string(given.front())) : app;
        const std::string name = in_command ? fmt::format("sluice {}", given.front()) : "sluice";
        fmt::print(stderr, "{}: {}; `{} --help` says more\n", name, explain(command, error, given),
                   name);
        return wrong_usage;
    }
    return run();
}

}  // namespace ingest
