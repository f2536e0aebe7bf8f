#include "ingest/backup_api.h"

#include "ingest/api_error.h"
#include "ingest/json_out.h"
#include "ingest/units.h"
#include "metrics/log.h"

namespace ingest {

using engine::Task;

namespace {

std::expected<std::string, BadRequest> directory_in(const HttpRequest& request) {
    BadRequest bad;
    std::string directory;
    for (const auto& [name, value] : request.query) {
        if (name == "directory")
            directory = value;
        else
            bad.errors.push_back({"parameter.unknown", "there is no such parameter",
                                  "?" + name.substr(0, 64), "known are: directory"});
    }
    if (directory.empty())
        bad.errors.push_back({"parameter.missing", "the directory is missing", "?directory",
                              "name one that does not exist yet, by its absolute path"});
    if (bad.errors.empty()) return directory;
    return std::unexpected(std::move(bad));
}

HttpAnswer refused(const storage::Error& error) {
    switch (error.code) {
        case storage::Errc::invalid:
            return to_answer(422, {"backup.directory", error.what, "?directory", {}});
        case storage::Errc::no_space:
            return to_answer(507, {"backup.no_space", error.what, "?directory",
                                   "name a directory on a disk with room for it"});
        default:
            return to_answer(503, {"storage.failed", error.what, {}, {}});
    }
}

}  // namespace

Task<> post_backup(HttpConnection& connection, const HttpRequest& request, HttpContext& context) {
    const auto directory = directory_in(request);
    if (!directory) co_return co_await connection.answer(to_answer(directory.error()));
    storage::Result<storage::Backup> made;
    const storage::WallTime now = context.intake.now();
    co_await context.long_work.run([&] { made = context.store.backup(*directory, now); });
    if (!made) {
        metrics::log::error("backup.failed",
                            {{"directory", *directory}, {"error", made.error().what}});
        co_return co_await connection.answer(refused(made.error()));
    }
    metrics::log::info("backup.made", {{"directory", *directory},
                                       {"bytes", made->bytes},
                                       {"open", made->open},
                                       {"last_event", made->last_event}});
    std::string body;
    JsonObject object(body);
    object.text("directory", *directory)
        .text("time", format_time(made->time))
        .number("bytes", made->bytes)
        .number("open", made->open)
        .number("accepted", made->accepted)
        .number("last_event", made->last_event)
        .close();
    co_await connection.answer({.body = std::move(body) + "\n"});
}

}  // namespace ingest
