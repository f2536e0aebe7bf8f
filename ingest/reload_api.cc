#include "ingest/reload_api.h"

#include <fmt/format.h>

#include <utility>

#include "ingest/api_error.h"
#include "ingest/json_out.h"
#include "ingest/query_reader.h"
#include "ingest/reload.h"

namespace ingest {

namespace {

HttpAnswer refused(const ConfigProblems& problems) {
    BadRequest bad;
    for (const ConfigProblem& problem : problems) {
        std::string place = problem.file;
        if (problem.line > 0) place += fmt::format(":{}:{}", problem.line, problem.column);
        bad.errors.push_back({"config.invalid", problem.what, std::move(place), problem.mend});
    }
    return to_answer(bad);
}

void append_texts(JsonObject& object, std::string& body, std::string_view name,
                  const std::vector<std::string>& texts) {
    object.key(name);
    body += '[';
    for (size_t i = 0; i < texts.size(); ++i) {
        if (i > 0) body += ',';
        append_json_string(body, texts[i]);
    }
    body += ']';
}

std::string told(const ReloadReport& report, ReloadHow how) {
    std::string body;
    JsonObject object(body);
    object.flag("reloaded", how == ReloadHow::in_force).text("hash", report.hash).key("changes");
    body += '[';
    bool first = true;
    for (const ConfigChange& change : report.changes) {
        if (!std::exchange(first, false)) body += ',';
        JsonObject one(body);
        one.text("name", change.name)
            .text_if("old", change.old_value)
            .text_if("old_origin", change.old_origin)
            .text_if("value", change.value)
            .text_if("origin", change.origin)
            .flag("needs_restart", change.needs_restart)
            .close();
    }
    body += ']';
    append_texts(object, body, "files", report.files);
    append_texts(object, body, "warnings", report.warnings);
    object.close();
    return body + "\n";
}

}  // namespace

engine::Task<> post_reload(HttpConnection& connection, const HttpRequest& request,
                           HttpContext& context) {
    QueryReader parameters(request);
    const ReloadHow how = parameters.flag("dry_run") ? ReloadHow::dry_run : ReloadHow::in_force;
    if (auto no = parameters.refusal()) co_return co_await connection.answer(std::move(*no));
    CHECK(context.reloader != nullptr, "the path of reloads was routed without one");
    const ReloadReport report = co_await context.reloader->reload(how);
    HttpAnswer answer = report.problems.empty() ? HttpAnswer{.body = told(report, how)}
                                                : refused(report.problems);
    co_await connection.answer(std::move(answer));
}

}  // namespace ingest
