#include "ingest/cli_words.h"

#include <map>

namespace ingest {

namespace {
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

void describe_in_doubt(CLI::App& app, Words& words, Run& run) {
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
}
}  // namespace

void describe_orders(CLI::App& app, Words& words, Run& run) {
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

    describe_in_doubt(app, words, run);
}

}  // namespace ingest
