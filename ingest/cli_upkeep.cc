#include "ingest/cli_words.h"

namespace ingest {

namespace {
constexpr auto default_check_domain = "gmail.com";

int run_tls_report(Words& words) {
    const auto config = configuration(words.config_file);
    const auto options = client(words);
    if (!config || !options) return wrong_usage;
    words.tls_report.client = *options;
    if (words.gzip) words.tls_report.pack = TlsReportOptions::Pack::gzip;
    return tls_report(words.tls_report, *config);
}

int run_fsck(Words& words) {
    const auto config = configuration(words.config_file);
    if (!config) return wrong_usage;
    words.fsck.output = words.output();
    return fsck(words.fsck, *config);
}

int run_check(Words& words) {
    words.check.config_file = words.config_file;
    words.check.output = words.output();
    if (words.offline) words.check.domain.clear();
    return check(words.check);
}

int run_password(const Words& words) {
    using What = PasswordOptions::What;
    const What what = words.api_key        ? What::api_key
                      : words.new_password ? What::new_password
                                           : What::hash;
    return password({what, words.output()});
}

/// For the queue's files.
void describe_files(CLI::App& app, Words& words, Run& run) {
    auto* fsck_command = app.add_subcommand(
        "fsck", "Look through the queue for damage, while the daemon does not run");
    fsck_command->add_flag("--repair", words.fsck.repair,
                           "Mend what can be mended; says what is lost");
    add_config(*fsck_command, words);
    add_json(*fsck_command, words);
    fsck_command->callback([&] { run = [&words] { return run_fsck(words); }; });

    auto* backup_command =
        app.add_subcommand("backup", "Copy the queue as it is, while the daemon goes on");
    backup_command
        ->add_option("DIRECTORY", words.backup.directory,
                     "Made by the daemon; on data_dir's file system tables are linked")
        ->required();
    add_client(*backup_command, words);
    backup_command->callback([&] {
        run = [&words] {
            return with_client(words, [&](const ClientOptions& c) {
                words.backup.client = c;
                return backup(words.backup);
            });
        };
    });

    auto* restore_command = app.add_subcommand("restore", "Make a data_dir of a backup");
    restore_command->add_option("BACKUP", words.restore.backup, "Made by sluice backup")
        ->required();
    restore_command
        ->add_option("--data-dir", words.restore.data_dir, "Must be empty or not be there yet")
        ->required();
    add_json(*restore_command, words);
    restore_command->callback([&] {
        run = [&words] {
            words.restore.output = words.output();
            return restore(words.restore);
        };
    });
}
}  // namespace

void describe_upkeep(CLI::App& app, Words& words, Run& run) {
    auto* check_command =
        app.add_subcommand("check", "Say whether this host is fit to serve, and what to mend");
    add_config(*check_command, words);
    add_json(*check_command, words);
    words.check.domain = default_check_domain;
    check_command
        ->add_option("--domain", words.check.domain, "Whose MX is looked up and connected to")
        ->capture_default_str();
    check_command->add_flag("--offline", words.offline, "Leave the network alone");
    check_command->callback([&] { run = [&words] { return run_check(words); }; });

    describe_files(app, words, run);

    auto* password_command = app.add_subcommand(
        "password", "Hash a password, or make one or an API key, for the configuration");
    auto* made = password_command->add_flag("--new", words.new_password,
                                            "Make a password instead of reading one");
    password_command
        ->add_flag("--api-key", words.api_key, "Make an API key for a [[tenant]] instead")
        ->excludes(made);
    add_json(*password_command, words);
    password_command->callback([&] { run = [&words] { return run_password(words); }; });

    auto* tls_report_command =
        app.add_subcommand("tls-report", "What TLS sessions of a day came to (RFC 8460)");
    tls_report_command->add_option("--day", words.tls_report.day, "Like 2026-11-22, in UTC")
        ->required();
    tls_report_command->add_option("--domain", words.tls_report.domain, "Only of this domain");
    tls_report_command->add_option("--out", words.tls_report.directory,
                                   "Write a file a domain there, and index.json");
    tls_report_command->add_flag("--gzip", words.gzip, "Pack the files, as they are mailed");
    add_client(*tls_report_command, words);
    tls_report_command->callback([&] { run = [&words] { return run_tls_report(words); }; });
}

}  // namespace ingest
