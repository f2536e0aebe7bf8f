#include "ingest/console_api.h"

#include <algorithm>

#include "ingest/api_error.h"

namespace ingest {

using engine::Task;

namespace {

// Nothing from elsewhere, nothing inline, nobody's frame: a reply of a mail host that found its way
// into the page as HTML could still do nothing.
constexpr std::string_view policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' "
    "data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'";

bool takes_gzip(std::string_view accepted) {
    const size_t at = accepted.find("gzip");
    if (at == std::string_view::npos) return false;
    std::string_view weight = accepted.substr(at + 4);
    weight = weight.substr(0, weight.find(','));
    return !weight.contains("q=0") || weight.contains("q=0.");
}

}  // namespace

Task<> get_console(HttpConnection& connection, const HttpRequest& request, HttpContext& context) {
    CHECK(context.console != nullptr, "the console was routed without its files");
    const std::string_view path = request.path;
    const std::string_view name =
        path.starts_with("/console/") ? path.substr(path.rfind('/') + 1) : "index.html";
    const auto file = std::ranges::find(*context.console, name, &ConsoleFile::name);
    if (file == context.console->end()) {
        co_return co_await connection.answer(to_answer(
            404, {"path.unknown", "the console has no such file", {}, "it begins at /console"}));
    }
    const bool packed = takes_gzip(request.field("accept-encoding"));
    const std::string tag = "\"" + file->digest + (packed ? "-gzip\"" : "\"");
    HttpAnswer answer{.content_type = file->content_type};
    answer.fields = {{"ETag", tag},
                     {"Cache-Control", "no-cache"},
                     {"Vary", "Accept-Encoding"},
                     {"Content-Security-Policy", std::string(policy)},
                     {"X-Content-Type-Options", "nosniff"},
                     {"Referrer-Policy", "no-referrer"},
                     {"Cross-Origin-Opener-Policy", "same-origin"},
                     {"Cross-Origin-Resource-Policy", "same-origin"}};
    if (request.field("if-none-match").contains(tag)) {
        answer.status = 304;
    } else {
        if (packed) answer.fields.emplace_back("Content-Encoding", "gzip");
        answer.body = packed ? file->packed : std::string(file->text);
    }
    co_await connection.answer(std::move(answer));
}

}  // namespace ingest
