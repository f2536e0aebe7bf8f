// sluice reload: the daemon reads its configuration anew and tells what has changed.
#include <fmt/format.h>

#include "ingest/client_error.h"
#include "ingest/commands.h"
#include "ingest/http_client.h"
#include "ingest/live_client.h"
#include "ingest/terminal.h"

namespace ingest {

using nlohmann::ordered_json;

namespace {

std::string value_of(const ordered_json& change, const char* name) {
    const std::string value = text_of(change, name);
    return value.empty() ? "(not set)" : printable(value);
}

void print(const ordered_json& report, bool dry_run) {
    Table table;
    size_t now = 0, later = 0;
    for (const ordered_json& change : member_of(report, "changes")) {
        const bool waits = change.value("needs_restart", false);
        ++(waits ? later : now);
        std::string origin = text_of(change, "origin");
        if (origin.empty()) origin = "was " + text_of(change, "old_origin");
        table.add({text_of(change, "name"), value_of(change, "old"), "->", value_of(change, "value"),
                   "(" + origin + ")", waits ? "needs a restart" : ""});
    }
    fmt::print("{}", table.text("  "));
    const ordered_json& files = member_of(report, "files");
    for (const ordered_json& file : files)
        fmt::print("  {} has other contents\n", printable(file.get<std::string>()));
    for (const ordered_json& warning : member_of(report, "warnings"))
        fmt::print("  warning: {}\n", printable(warning.get<std::string>()));
    const bool nothing = now + files.size() == 0;
    fmt::print("{}{}{}\n",
               dry_run ? "the configuration is right; a reload would change "
                       : "in force on all shards; changed: ",
               nothing ? "nothing" : fmt::format("{} settings, {} files", now, files.size()),
               later > 0 ? fmt::format("; {} more need a restart", later) : "");
}

}  // namespace

int reload(const ReloadOptions& options) {
    const bool dry_run = options.how == ReloadOptions::How::dry_run;
    const auto reply = call({.server = options.client.server,
                             .method = "POST",
                             .target = dry_run ? "/v1/reload?dry_run=true" : "/v1/reload"});
    if (!reply) return failed("reload", reply.error());
    if (!reply->ok()) {
        const int status = failed("reload", readable_errors(reply->status, reply->body));
        if (reply->status == 422)
            fmt::print(stderr, "nothing has changed: the configuration before goes on\n");
        return status;
    }
    if (options.client.output == Output::json) {
        fmt::print("{}", reply->body);
        return 0;
    }
    const auto report = ordered_json::parse(reply->body, nullptr, false);
    if (!report.is_object()) return failed("reload", "the answer is not a JSON object");
    print(report, dry_run);
    return 0;
}

}  // namespace ingest
