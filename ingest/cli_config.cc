// Commands about the configuration.
#include "ingest/cli_words.h"

namespace ingest {

void describe_config(CLI::App& app, Words& words, Run& run) {
    auto* reload_command = app.add_subcommand(
        "reload", "Put the daemon's changed configuration in force, and show what has changed");
    reload_command->add_flag("--dry-run", words.dry_run, "Only say what would change");
    add_client(*reload_command, words);
    reload_command->callback([&] {
        run = [&words] {
            using How = ReloadOptions::How;
            return with_client(words, [&](const ClientOptions& c) {
                return reload({c, words.dry_run ? How::dry_run : How::in_force});
            });
        };
    });

    auto* explain_command = app.add_subcommand(
        "explain", "Where a domain's mail goes, which limits hold there, and what holds it now");
    explain_command
        ->add_option("DOMAIN", words.explain.domain, "A recipient domain, or an address in it")
        ->required();
    add_client(*explain_command, words);
    explain_command->callback([&] {
        run = [&words] {
            return with_client(words, [&](const ClientOptions& c) {
                words.explain.client = c;
                return explain(words.explain);
            });
        };
    });

    auto* import_command =
        app.add_subcommand("import", "Turn another engine's configuration into ours");
    import_command
        ->add_option(
            "WHAT", words.import.what,
            "kumo-shaping: KumoMTA's traffic shaping in TOML; prints a file for [delivery] "
            "provider_files")
        ->check(CLI::IsMember({"kumo-shaping"}))
        ->required();
    import_command->add_option("FILE", words.import.file, "The file")->required();
    add_json(*import_command, words);
    import_command->callback([&] {
        run = [&words] {
            words.import.output = words.output();
            return import_shaping(words.import);
        };
    });
}

}  // namespace ingest
