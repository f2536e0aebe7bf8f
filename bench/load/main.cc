// sluice-load: drives an engine's intakes, or any SMTP server. See bench/README.md.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "bench/load/run.h"

namespace {

struct Arguments {
    std::string server, size = "2KiB", domains = "d{0..199}.demo.test", to_domain, patience = "1m";
    unsigned clients = 0;  // 0: the mode's default
    load::RunOptions run;
    load::CorpusOptions corpus;
    bool json = false;
    bool quiet = false;
};

void declare(CLI::App& app, Arguments& a) {
    app.require_subcommand(1);
    app.fallthrough();
    app.add_option("--server", a.server, "unix:/path, 127.0.0.1:8025 or [::1]:8025");
    app.add_option("--recipients", a.run.recipients, "how many, in all")->capture_default_str();
    app.add_option("--clients", a.clients, "connections at a time (json 10, ndjson 1, smtp 10)");
    app.add_option("--size", a.size, "of the text: 2048, 2KiB, 1MiB")->capture_default_str();
    app.add_option("--vars", a.corpus.vars,
                   "placeholders in the text, variables of each recipient");
    app.add_option("--domains", a.domains, "of the recipients, taking turns")
        ->capture_default_str();
    app.add_option("--to-domain", a.to_domain, "one domain for all recipients");
    app.add_option("--from", a.corpus.from, "envelope sender")->capture_default_str();
    app.add_option("--campaign", a.corpus.campaign, "of the jobs")->capture_default_str();
    app.add_option("--class", a.corpus.job_class, "transactional or bulk")->capture_default_str();
    app.add_option("--send-at", a.corpus.send_at,
                   "of the jobs, RFC 3339: accept now, deliver then");
    app.add_option("--first", a.corpus.first, "number of the first recipient");
    app.add_option("--patience", a.patience, "give up when nothing is answered for so long")
        ->capture_default_str();
    app.add_flag("--json", a.json, "the summary as JSON on standard output");
    app.add_flag("--quiet", a.quiet, "no progress");

    auto* json = app.add_subcommand("json", "POST /v1/messages, one JSON job a request");
    json->add_option("--per-request", a.run.per_request, "recipients of one request")
        ->check(CLI::Range(1u, 10'000u));
    auto* ndjson = app.add_subcommand("ndjson", "POST /v1/messages as NDJSON, streamed");
    ndjson->add_flag("--job-per-recipient", a.run.job_per_recipient,
                     "each recipient is a job with its own content");
    auto* smtp = app.add_subcommand("smtp", "SMTP sessions, pipelined");
    smtp->add_flag("--bdat", a.run.chunking, "BDAT in place of DATA");
    smtp->add_option("--window", a.run.window, "messages in flight on a session, with --bdat")
        ->check(CLI::Range(1u, 100u));
}

template <class T>
T valid(std::string_view option, bench::Parsed<T> parsed) {
    if (!parsed) throw CLI::ValidationError(std::string(option), parsed.error());
    return std::move(*parsed);
}

/// Fills in what the texts mean and what the mode takes by default.
void settle(Arguments& a, bool smtp, bool ndjson) {
    if (a.server.empty()) a.server = smtp ? "127.0.0.1:2587" : "unix:/run/sluice/ingest.sock";
    a.run.clients = a.clients > 0 ? a.clients : ndjson ? 1 : 10;
    a.run.server = valid("--server", bench::parse_endpoint(a.server));
    a.run.patience = valid("--patience", bench::parse_duration(a.patience));
    a.corpus.size = valid("--size", bench::parse_size(a.size));
    a.corpus.domains = valid(
        "--domains", load::DomainPattern::parse(a.to_domain.empty() ? a.domains : a.to_domain));
}

int run(const Arguments& a, const std::string& mode) {
    load::Corpus corpus(a.corpus);
    load::Progress progress(a.quiet ? load::Progress::Style::none
                                    : load::Progress::style_of_stderr());
    load::Report report = mode == "json"     ? run_json(a.run, corpus, progress)
                          : mode == "ndjson" ? run_ndjson(a.run, corpus, progress)
                                             : run_smtp(a.run, corpus, progress);
    fmt::print("{}", a.json ? report.json() + "\n" : report.text());
    return report.complete() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Drives an engine's intakes and says how fast they answer", "sluice-load");
    Arguments arguments;
    declare(app, arguments);
    try {
        app.parse(argc, argv);
        settle(arguments, app.got_subcommand("smtp"), app.got_subcommand("ndjson"));
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    try {
        return run(arguments, app.get_subcommands().front()->get_name());
    } catch (const std::exception& error) {
        fmt::print(stderr, "sluice-load: {}\n", error.what());
        return 1;
    }
}
