#include "ingest/cli_words.h"

namespace ingest {

namespace {
int run_send(Words& words) {
    const auto config = configuration(words.config_file);
    if (!config) return wrong_usage;
    words.send.output = words.output();
    return send(words.send, *config);
}

int run_classify(Words& words) {
    const auto config = configuration(words.config_file);
    if (!config) return wrong_usage;
    words.classify.output = words.output();
    return classify(words.classify, *config);
}
}  // namespace

void describe_mail(CLI::App& app, Words& words, Run& run) {
    auto* submit_command = app.add_subcommand("submit", "Hand over a file of jobs and recipients");
    submit_command->add_option("FILE", words.file, "NDJSON; - is standard input")->required();
    add_client(*submit_command, words);
    submit_command->callback([&] {
        run = [&words] {
            return with_client(words,
                               [&](const ClientOptions& c) { return submit({c, words.file}); });
        };
    });

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
}

}  // namespace ingest
