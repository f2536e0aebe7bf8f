#include "ingest/cli_words.h"

namespace ingest {

namespace {
void describe_events(CLI::App& app, Words& words, Run& run) {
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
}

void describe_trace(CLI::App& app, Words& words, Run& run) {
    auto* trace_command = app.add_subcommand(
        "trace", "What is said on connections to hosts, as it is said; secrets are left out");
    TraceOptions& trace_words = words.trace;
    trace_command->add_option("--domain", trace_words.domain, "With mail to this recipient domain");
    trace_command->add_option("--tenant", trace_words.tenant, "With mail of this tenant");
    trace_command->add_option("--host", trace_words.host,
                              "To this mail host: its name, the end of it, or its address");
    trace_command->add_option("--site", trace_words.site, "To this site, as events name it");
    trace_command->add_option("--provider", trace_words.provider, "To this provider's hosts");
    trace_command->add_option("--source", trace_words.source, "From this source");
    trace_command->add_flag("--content", words.content,
                            "Show the mails' text, too: 64 KiB of each");
    trace_command->add_option("--count", trace_words.count, "End after so many lines");
    trace_command->add_option("--for", trace_words.lasts, "End after this time, such as 30s");
    add_client(*trace_command, words);
    trace_command->callback([&] {
        run = [&words] {
            return with_client(words, [&](const ClientOptions& c) {
                words.trace.client = c;
                if (words.content) words.trace.content = TraceOptions::Content::shown;
                return trace(words.trace);
            });
        };
    });
}
}  // namespace

void describe_views(CLI::App& app, Words& words, Run& run) {
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

    auto* status_command = app.add_subcommand("status", "What the daemon is doing");
    add_client(*status_command, words);
    status_command->callback([&] {
        run = [&words] {
            return with_client(words, [](const ClientOptions& c) { return status(c); });
        };
    });

    describe_events(app, words, run);
    describe_trace(app, words, run);
}

}  // namespace ingest
