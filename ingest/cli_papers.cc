#include <fmt/format.h>

#include "ingest/cli_documents.h"
#include "ingest/cli_words.h"
#include "ingest/client_error.h"
#include "ingest/config_reference.h"

namespace ingest {

namespace {
int run_man(const CLI::App& app, const Words& words) {
    if (!words.folder.empty()) {
        const auto written = write_man_pages(app, words.folder);
        if (!written) return failed("man", written.error());
        fmt::print("{} pages in {}\n", *written, words.folder);
        return 0;
    }
    if (words.markdown || words.document == "sluice.toml") {
        fmt::print("{}", words.markdown ? config_reference() : config_man_page());
        return 0;
    }
    if (const auto unknown = unknown_command(app, words.document)) {
        fmt::print(stderr, "{}\n", *unknown);
        return wrong_usage;
    }
    const CLI::App* page = words.document.empty() ? &app : app.get_subcommand(words.document);
    fmt::print("{}", man_page(app, *page));
    return 0;
}
}  // namespace

void describe_documents(CLI::App& app, Words& words, Run& run) {
    auto* completion_command =
        app.add_subcommand("completion", "Print a shell's completion script");
    completion_command->add_option("SHELL", words.document, "bash, zsh or fish")
        ->required()
        ->check(CLI::IsMember({"bash", "zsh", "fish"}));
    completion_command->callback([&] {
        run = [&] {
            fmt::print("{}", completion(app, words.document));
            return 0;
        };
    });
    auto* man_command = app.add_subcommand("man", "Print a man page, for `man -l -`");
    man_command->add_option(
        "PAGE", words.document,
        "A command, or sluice.toml for the configuration; default: the page of sluice");
    man_command->add_option("--into", words.folder, "Write all pages into this folder");
    man_command->add_flag("--markdown", words.markdown,
                          "Print the configuration's reference as Markdown");
    man_command->callback([&] { run = [&] { return run_man(app, words); }; });
}

}  // namespace ingest
