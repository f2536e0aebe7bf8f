// The subcommands of `sluice` but the daemon. Each returns its exit code: 0 done, 1 failed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ingest/config.h"

namespace ingest {

enum class Output : uint8_t { text, json };

/// For the clients of a running daemon.
struct ClientOptions {
    std::string server;  // as in HttpCall
    Output output = Output::text;
};

int status(const ClientOptions& options);

struct TopOptions {
    ClientOptions client;
    enum class How : uint8_t { until_left, once };
    How how = How::until_left;
};
/// Draws itself anew each second; JSON is a snapshot a line.
int top(const TopOptions& options);

/// Filters that are empty let everything through; each list has some of them.
struct ListOptions {
    ClientOptions client;
    uint64_t limit = 20;
    std::string sort, domain, provider, campaign, tenant, state, before;
};
int queue(const ListOptions& options);  // by recipient domain and age
int sites(const ListOptions& options);
int jobs(const ListOptions& options);
int providers(const ClientOptions& client);

struct WhyOptions {
    ClientOptions client;
    std::string what;  // a delivery's id or an address
};
/// The story of a delivery, what it waits for and what can be done about it.
int why(const WhyOptions& options);

/// Filters that are empty let everything through.
struct TraceOptions {
    ClientOptions client;
    std::string domain, tenant, host, site, provider, source;
    enum class Content : uint8_t { summed_up, shown };
    Content content = Content::summed_up;
    uint64_t count = 0;  // lines; 0: until interrupted
    std::string lasts;   // "30s"; empty: likewise
};
int trace(const TraceOptions& options);

struct SubmitOptions {
    ClientOptions client;
    std::string file;  // NDJSON; "-": standard input
};
int submit(const SubmitOptions& options);

struct EventsOptions {
    ClientOptions client;
    enum class Until : uint8_t { end, interrupted };
    Until until = Until::end;
    std::optional<uint64_t> after;   // default: the first event, or with `interrupted` the newest
    std::string type, campaign, to;  // filters; empty: all
    std::string since;               // "1h", or a time; empty: all that are kept
};
int events(const EventsOptions& options);

struct InDoubtOptions {
    ClientOptions client;
    enum class What : uint8_t { list, retry, delivered };
    What what = What::list;
    std::vector<std::string> deliveries;  // ids
    bool all = false, yes = false;        // instead of ids; and meant so
};
/// Lists what is held in doubt, or says what becomes of it.
int in_doubt(const InDoubtOptions& options);

/// What an order is about: everything that is set must hold.
struct ReachWords {
    std::optional<std::string> tenant, campaign, domain, klass, provider, site, source, recipient,
        job;
    bool all = false;
};

struct PauseOptions {
    ClientOptions client;
    ReachWords reach;
    std::string lasts, until, reason;
    std::vector<std::string> route;  // empty: the mail is held
};
/// Lists the suspensions when nothing is named.
int pause(const PauseOptions& options);

struct ResumeOptions {
    ClientOptions client;
    std::string id;  // or those that name exactly `reach`
    ReachWords reach;
};
int resume(const ResumeOptions& options);

struct CancelOptions {
    ClientOptions client;
    ReachWords reach;
    std::string reason;
    enum class Consent : uint8_t { not_given, given };
    Consent consent = Consent::not_given;  // without it the count is shown, and nothing is done
};
int cancel(const CancelOptions& options);

struct SuppressOptions {
    ClientOptions client;
    enum class What : uint8_t { add, remove, take_in, give_out };
    What what = What::give_out;
    std::string tenant, reason;
    std::vector<std::string> addresses;  // to add or to remove
    std::string file = "-";              // to take in or to give out
};
int suppress(const SuppressOptions& options);

struct TlsReportOptions {
    ClientOptions client;
    std::string day;        // "2026-11-22"
    std::string domain;     // empty: all
    std::string directory;  // for files; empty: to standard output
    enum class Pack : uint8_t { none, gzip };
    Pack pack = Pack::none;
};
int tls_report(const TlsReportOptions& options, const Config& config);

struct CheckOptions {
    std::string config_file;  // empty: the defaults
    std::string domain;  // whose MX is looked up and connected to; empty: no look at the network
    Output output = Output::text;
};
int check(const CheckOptions& options);

struct FsckCommandOptions {
    bool repair = false;
    Output output = Output::text;
};
/// Looks through the queue of the configuration's data_dir, which no daemon may have open. 1 as
/// long as anything in it is damaged.
int fsck(const FsckCommandOptions& options, const Config& config);

struct BackupOptions {
    ClientOptions client;
    std::string directory;  // that the daemon makes
};
int backup(const BackupOptions& options);

struct RestoreOptions {
    std::string backup, data_dir;
    Output output = Output::text;
};
int restore(const RestoreOptions& options);

struct ReloadOptions {
    ClientOptions client;
    enum class How : uint8_t { in_force, dry_run };
    How how = How::in_force;
};
int reload(const ReloadOptions& options);

struct ExplainOptions {
    ClientOptions client;
    std::string domain;  // or an address in it
};
/// Where a domain's mail goes and why, which limits hold there, and what holds it back now.
int explain(const ExplainOptions& options);

struct ImportOptions {
    std::string what, file;
    Output output = Output::text;
};
/// KumoMTA's traffic shaping as a file for provider_files, on standard output.
int import_shaping(const ImportOptions& options);

struct PasswordOptions {
    enum class What : uint8_t { hash, new_password, api_key };
    What what = What::hash;  // of the password on standard input
    Output output = Output::text;
};
/// Prints the line for [[credential]] or [[tenant]].
int password(const PasswordOptions& options);

struct ClassifyOptions {
    std::string reply;  // "550 5.1.1 no such user"
    std::string mx, stage = "rcpt";
    Output output = Output::text;
};
/// Says which bounce class a reply has, and which rule says so.
int classify(const ClassifyOptions& options, const Config& config);

struct SendOptions {
    std::string from, to, subject, text;
    std::optional<std::string> html;
    Output output = Output::text;
};
/// Delivers one mail by itself, without a daemon and without a queue, and shows the conversation.
int send(const SendOptions& options, const Config& config);

}  // namespace ingest
