// sluice backup and sluice restore: a copy of the queue, made by the daemon while it works, and put
// in place where none runs.
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "ingest/client_error.h"
#include "ingest/commands.h"
#include "ingest/folder_progress.h"
#include "ingest/http_client.h"
#include "ingest/live_client.h"
#include "ingest/terminal.h"
#include "ingest/units.h"
#include "storage/backup.h"

namespace ingest {

namespace {
constexpr auto backup_silence_max = std::chrono::hours(24);  // it answers when all is copied

/// What the queue holds now; 0: the daemon does not say.
uint64_t bytes_to_copy(const std::string& server) {
    const auto status = ask(server, "/v1/status");
    return status ? count_of(member_of(*status, "storage"), "data_bytes") : 0;
}
}  // namespace

int backup(const BackupOptions& options) {
    // The daemon has another working directory.
    std::error_code error;
    const std::string directory =
        std::filesystem::absolute(options.directory, error).lexically_normal().string();
    const auto reply = [&] {
        // Nothing is shown of a daemon on another host, whose folder is not here.
        const FolderProgress progress(directory, bytes_to_copy(options.client.server));
        return call({.server = options.client.server,
                     .method = "POST",
                     .target = "/v1/backup?directory=" + percent_encoded(directory),
                     .silence_max = backup_silence_max});
    }();
    if (!reply) return failed("backup", reply.error());
    if (!reply->ok()) return failed("backup", readable_errors(reply->status, reply->body));
    if (options.client.output == Output::json) {
        fmt::print("{}", reply->body);
        return 0;
    }
    const auto made = nlohmann::json::parse(reply->body, nullptr, false);
    if (!made.is_object()) return failed("backup", "the answer is not a JSON object");
    fmt::print("{}: {}, {} deliveries waiting, events up to {}\n", directory,
               short_size(made.value("bytes", 0.0)), grouped(made.value("open", uint64_t{0})),
               made.value("last_event", uint64_t{0}));
    return 0;
}

int restore(const RestoreOptions& options) {
    const auto restored = [&] {
        const FolderProgress progress(options.data_dir, folder_bytes(options.backup));
        return storage::restore_backup(options.backup, options.data_dir);
    }();
    if (!restored) return failed("restore", restored.error().what);
    const std::string time = format_time(restored->time);
    if (options.output == Output::json) {
        const nlohmann::ordered_json out = {
            {"data_dir", options.data_dir},   {"time", time},
            {"bytes", restored->bytes},       {"open", restored->open},
            {"accepted", restored->accepted}, {"last_event", restored->last_event}};
        fmt::print("{}\n",
                   out.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
        return 0;
    }
    fmt::print(
        "{} is the queue as it was at {}: {} deliveries waiting, events up to {}.\n"
        "What was sent since then waits in it and goes again; what was accepted since then is not "
        "in it.\nReaders of events that have read further than {} must go back to it.\n",
        options.data_dir, time, grouped(restored->open), restored->last_event,
        restored->last_event);
    return 0;
}

}  // namespace ingest
