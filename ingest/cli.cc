#include "ingest/cli.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <functional>
#include <map>

#include "ingest/cli_documents.h"
#include "ingest/client_error.h"
#include "ingest/commands.h"
#include "ingest/config_reference.h"
#include "ingest/did_you_mean.h"
#include "ingest/version.h"

namespace ingest {

namespace {
constexpr int wrong_usage = 2;
constexpr auto default_server = "unix:/run/sluice/ingest.sock";
constexpr auto default_check_domain = "gmail.com";

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
    TlsReportOptions tls_report;
    InDoubtOptions in_doubt;
    EventsOptions events;
    CheckOptions check;
    SendOptions send;
    ClassifyOptions classify;
    ListOptions list;
    WhyOptions why;
    FsckCommandOptions fsck;
    BackupOptions backup;
    RestoreOptions restore;
    bool once = false;
    std::string document;  // a shell, or the page that is wanted
    std::string folder;    // where man pages go
    bool markdown = false;

    Output output() const { return json ? Output::json : Output::text; }
};

/// Prints everything that is wrong with a configuration. nullopt: nothing can be done with it.
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

/// Where the daemon listens: --server, or the first HTTP listener of --config, or the usual socket.
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

template <class Run>
int with_client(const Words& words, Run run) {
    const auto options = client(words);
    return options ? run(*options) : wrong_usage;
}

int run_send(Words& words) {
    const auto config = configuration(words.config_file);
    if (!config) return wrong_usage;
    words.send.output = words.output();
    return send(words.send, *config);
}

int run_tls_report(Words& words) {
    const auto config = configuration(words.config_file);
    const auto options = client(words);
    if (!config || !options) return wrong_usage;
    words.tls_report.client = *options;
    if (words.gzip) words.tls_report.pack = TlsReportOptions::Pack::gzip;
    return tls_report(words.tls_report, *config);
}

int run_classify(Words& words) {
    const auto config = configuration(words.config_file);
    if (!config) return wrong_usage;
    words.classify.output = words.output();
    return classify(words.classify, *config);
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

/// What the daemon does and has: the commands that look.
void describe_views(CLI::App& app, Words& words, std::function<int()>& run) {
    const auto on = [&words, &run](CLI::App* command, auto call) {
        add_client(*command, words);
        command->callback([&words, &run, call] {
            run = [&words, call] {
                return with_client(words, [&](const ClientOptions& c) { return call(words, c); });
            };
        });
    };
    const auto list = [&words, &on](CLI::App* command, int (*call)(const ListOptions&)) {
        command->add_option("--limit", words.list.limit, "Rows at most")->capture_default_str();
        on(command, [call](Words& w, const ClientOptions& c) {
            w.list.client = c;
            return call(w.list);
        });
    };
    auto* top_command = app.add_subcommand("top", "What the daemon does, each second; q leaves");
    top_command->add_flag("--once", words.once, "Draw once, and end");
    on(top_command, [](Words& w, const ClientOptions& c) {
        using How = TopOptions::How;
        return top({c, w.once ? How::once : How::until_left});
    });

    auto* queue_command = app.add_subcommand("queue", "What waits, by recipient domain and age");
    queue_command->add_option("--sort", words.list.sort, "size or age, which comes first")
        ->check(CLI::IsMember({"size", "age"}));
    queue_command->add_option("--domain", words.list.domain, "Only of this recipient domain");
    queue_command->add_option("--campaign", words.list.campaign, "Only of this campaign");
    queue_command->add_option("--tenant", words.list.tenant, "Only of this tenant");
    list(queue_command, queue);

    auto* sites_command =
        app.add_subcommand("sites", "Sites with work, their connections, what holds them back");
    sites_command->add_option("--provider", words.list.provider, "Only of this provider");
    list(sites_command, sites);

    on(app.add_subcommand("providers", "Providers, their limits and what holds them back"),
       [](Words&, const ClientOptions& c) { return providers(c); });

    auto* jobs_command = app.add_subcommand("jobs", "Jobs with their progress, the newest first");
    jobs_command->add_option("--state", words.list.state, "open or finished; default: any")
        ->check(CLI::IsMember({"any", "open", "finished"}));
    jobs_command->add_option("--campaign", words.list.campaign, "Only of this campaign");
    jobs_command->add_option("--tenant", words.list.tenant, "Only of this tenant");
    jobs_command->add_option("--before", words.list.before, "Only those that came before this job");
    list(jobs_command, jobs);

    auto* why_command = app.add_subcommand("why", "The story of a delivery, and what it waits for");
    why_command->add_option("WHAT", words.why.what, "A delivery's id, or a recipient's address")
        ->required();
    on(why_command, [](Words& w, const ClientOptions& c) {
        w.why.client = c;
        return why(w.why);
    });
}

/// The first word is the command: what it was meant to be, when it is none.
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

/// Documents made of these very declarations.
void describe_documents(CLI::App& app, Words& words, std::function<int()>& run) {
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

/// The commands for the queue's files.
void describe_upkeep(CLI::App& app, Words& words, std::function<int()>& run) {
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

/// What may be named by every order, and further by those that are not about single recipients.
void add_reach(CLI::App& command, ReachWords& reach) {
    command.add_option("--tenant", reach.tenant, "Mail of this tenant");
    command.add_option("--campaign", reach.campaign, "Mail of this campaign; \"\": of none");
    command.add_option("--domain", reach.domain, "Mail to this recipient domain");
    command.add_option("--class", reach.klass, "transactional or bulk");
    command.add_flag("--all", reach.all, "All mail; instead of a name");
}

void add_way(CLI::App& command, ReachWords& reach) {
    command.add_option("--provider", reach.provider, "Mail that goes to this provider's hosts");
    command.add_option("--site", reach.site, "Mail that goes to this site, as events name it");
    command.add_option("--source", reach.source, "Mail that would leave from this source");
}

void describe_orders(CLI::App& app, Words& words, std::function<int()>& run) {
    auto* pause_command = app.add_subcommand(
        "pause", "Hold mail back, or send it another way; without a name: what is held now");
    add_reach(*pause_command, words.reach);
    add_way(*pause_command, words.reach);
    auto* lasts = pause_command->add_option("--for", words.pause.lasts, "How long, such as 2h");
    pause_command->add_option("--until", words.pause.until, "Such as 2026-11-22T10:00:00Z")
        ->excludes(lasts);
    pause_command->add_option("--reason", words.pause.reason, "Shown wherever it is listed");
    pause_command
        ->add_option("--route", words.pause.route,
                     "Do not hold it: send it by these hosts, as in [[domain]] route")
        ->delimiter(',');
    add_client(*pause_command, words);
    pause_command->callback([&] {
        run = [&words] {
            return with_client(words, [&](const ClientOptions& c) {
                words.pause.client = c;
                words.pause.reach = words.reach;
                return pause(words.pause);
            });
        };
    });

    auto* resume_command =
        app.add_subcommand("resume", "End a suspension; without a name: what is held now");
    resume_command->add_option("ID", words.resume.id, "As `sluice resume` lists it");
    add_reach(*resume_command, words.reach);
    add_way(*resume_command, words.reach);
    add_client(*resume_command, words);
    resume_command->callback([&] {
        run = [&words] {
            return with_client(words, [&](const ClientOptions& c) {
                words.resume.client = c;
                words.resume.reach = words.reach;
                return resume(words.resume);
            });
        };
    });

    auto* cancel_command = app.add_subcommand(
        "cancel", "End mail that was accepted and not sent yet; shows how much and wants --yes");
    cancel_command->add_option("JOB", words.reach.job, "A job's id");
    cancel_command->add_option("--to", words.reach.recipient, "Mail to this address");
    add_reach(*cancel_command, words.reach);
    cancel_command->add_option("--reason", words.cancel.reason, "Stands in the events");
    cancel_command->add_flag("--yes", words.yes, "Do it");
    add_client(*cancel_command, words);
    cancel_command->callback([&] {
        run = [&words] {
            return with_client(words, [&](const ClientOptions& c) {
                words.cancel.client = c;
                words.cancel.reach = words.reach;
                if (words.yes) words.cancel.consent = CancelOptions::Consent::given;
                return cancel(words.cancel);
            });
        };
    });
}

/// The program's words. Its callbacks set `run`, so that parsing is over before anything happens.
void describe(CLI::App& app, Words& words, Serve daemon, std::function<int()>& run) {
    app.require_subcommand(1);
    app.set_version_flag("--version", std::string(version));

    auto* serve = app.add_subcommand("serve", "Run the daemon");
    add_config(*serve, words);
    serve->add_option("--log-level", words.log_level, "debug, info, warn or error")
        ->check(CLI::IsMember({"debug", "info", "warn", "error"}));
    serve->callback(
        [&words, daemon, &run] { run = [&words, daemon] { return run_serve(words, daemon); }; });

    auto* classify_command = app.add_subcommand(
        "classify", "Say which bounce class a reply of a mail host has, and by which rule");
    classify_command
        ->add_option("reply", words.classify.reply, "Such as \"550 5.1.1 no such user\"")
        ->required();
    classify_command->add_option("--mx", words.classify.mx, "The host that said it");
    classify_command
        ->add_option("--stage", words.classify.stage, "banner, ehlo, mail, rcpt, data or body")
        ->check(CLI::IsMember({"banner", "ehlo", "mail", "rcpt", "data", "body"}))
        ->capture_default_str();
    add_config(*classify_command, words);
    add_json(*classify_command, words);
    classify_command->callback([&] { run = [&words] { return run_classify(words); }; });

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

    auto* status_command = app.add_subcommand("status", "What the daemon is doing");
    add_client(*status_command, words);
    status_command->callback([&] {
        run = [&words] {
            return with_client(words, [](const ClientOptions& c) { return status(c); });
        };
    });

    describe_views(app, words, run);

    auto* submit_command = app.add_subcommand("submit", "Hand over a file of jobs and recipients");
    submit_command->add_option("FILE", words.file, "NDJSON; - is standard input")->required();
    add_client(*submit_command, words);
    submit_command->callback([&] {
        run = [&words] {
            return with_client(words,
                               [&](const ClientOptions& c) { return submit({c, words.file}); });
        };
    });

    auto* events_command = app.add_subcommand("events", "What became of each recipient, in order");
    events_command->add_flag("-f,--follow", words.follow, "Wait for more at the end");
    events_command->add_option("--after", words.events.after,
                               "Only events with a larger sequence number; default: all that are "
                               "kept, with --follow the ones to come");
    events_command->add_option("--since", words.events.since,
                               "Only events of the last \"1h\", or since a time such as "
                               "2026-11-22T10:00:00Z");
    events_command->add_option("--type", words.events.type,
                               "Only of this type: delivered, deferred, bounced, ...");
    events_command->add_option("--campaign", words.events.campaign, "Only of this campaign");
    events_command->add_option("--to", words.events.to, "Only to this address");
    add_client(*events_command, words);
    events_command->callback([&] {
        run = [&words] {
            return with_client(words, [&](const ClientOptions& c) {
                words.events.client = c;
                words.events.until =
                    words.follow ? EventsOptions::Until::interrupted : EventsOptions::Until::end;
                return events(words.events);
            });
        };
    });

    auto* in_doubt_command = app.add_subcommand(
        "in-doubt", "Deliveries held because nobody knows whether the receiver has them");
    using What = InDoubtOptions::What;
    in_doubt_command
        ->add_option("WHAT", words.in_doubt.what,
                     "list; retry: send again; delivered: the receiver has it")
        ->transform(CLI::CheckedTransformer(std::map<std::string, What>{
            {"list", What::list}, {"retry", What::retry}, {"delivered", What::delivered}}))
        ->required();
    auto* ids = in_doubt_command->add_option("DELIVERY", words.in_doubt.deliveries,
                                             "Ids, as `in-doubt list` shows them");
    in_doubt_command->add_flag("--all", words.in_doubt.all, "All that are held")->excludes(ids);
    in_doubt_command->add_flag("--yes", words.in_doubt.yes, "Do it, however many these are");
    add_client(*in_doubt_command, words);
    in_doubt_command->callback([&] {
        const bool names_some = words.in_doubt.all || !words.in_doubt.deliveries.empty();
        if (names_some == (words.in_doubt.what == What::list))
            throw CLI::ValidationError(
                "in-doubt", names_some ? "list takes no ids" : "say which: their ids, or --all");
        run = [&words] {
            return with_client(words, [&](const ClientOptions& c) {
                words.in_doubt.client = c;
                return in_doubt(words.in_doubt);
            });
        };
    });

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

    describe_orders(app, words, run);
    describe_upkeep(app, words, run);

    auto* send_command = app.add_subcommand(
        "send", "Deliver one mail now, without the daemon, and show the conversation");
    send_command->add_option("--from", words.send.from, "Sender's address")->required();
    send_command->add_option("--to", words.send.to, "Recipient's address")->required();
    send_command->add_option("--subject", words.send.subject, "Subject")->required();
    send_command->add_option("--text", words.send.text, "Text")->required();
    send_command->add_option("--html", words.send.html, "HTML beside the text");
    add_config(*send_command, words);
    add_json(*send_command, words);
    send_command->callback([&] { run = [&words] { return run_send(words); }; });

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
    std::function<int()> run;
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
