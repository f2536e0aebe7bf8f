#include <map>

#include "ingest/cli_words.h"

namespace ingest {

namespace {
using What = SuppressOptions::What;

/// Sorts the words behind WHAT; what does not fit is wrong usage.
void take_words(SuppressOptions& options, std::vector<std::string> given) {
    const auto wrong = [](const char* why) { throw CLI::ValidationError("suppress", why); };
    const bool adds = options.what == What::add || options.what == What::take_in;
    if (!adds && !options.reason.empty()) wrong("--reason is for add and import");
    if (options.what == What::add || options.what == What::remove) {
        if (given.empty()) wrong("say which addresses");
        options.addresses = std::move(given);
        return;
    }
    if (given.size() > 1) wrong("import and export take one file");
    if (given.empty() && options.what == What::take_in) wrong("say which file; -: standard input");
    if (!given.empty()) options.file = std::move(given.front());
}
}  // namespace

void describe_suppress(CLI::App& app, Words& words, Run& run) {
    auto* command = app.add_subcommand(
        "suppress", "Suppression lists: the addresses that a tenant's mail is not sent to");
    command
        ->add_option("WHAT", words.suppress.what,
                     "add or remove addresses; import a file: NDJSON, or CSV with an address in "
                     "its first column or in one called address or email, and maybe a column "
                     "called reason; export the list as NDJSON")
        ->transform(
            CLI::CheckedTransformer(std::map<std::string, What>{{"add", What::add},
                                                                {"remove", What::remove},
                                                                {"import", What::take_in},
                                                                {"export", What::give_out}}))
        ->required();
    command->add_option("WORD", words.suppressed,
                        "Addresses; for import and export a file, - is standard input or output");
    command->add_option("--tenant", words.suppress.tenant,
                        "Whose list; \"*\": everybody's; default: \"default\"");
    command->add_option("--reason", words.suppress.reason,
                        "Kept beside the addresses that have none of their own");
    add_client(*command, words);
    command->callback([&] {
        take_words(words.suppress, words.suppressed);
        run = [&words] {
            return with_client(words, [&](const ClientOptions& c) {
                words.suppress.client = c;
                return suppress(words.suppress);
            });
        };
    });
}

}  // namespace ingest
