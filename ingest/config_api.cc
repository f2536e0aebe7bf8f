#include "ingest/config_api.h"

#include <utility>

#include "ingest/json_out.h"
#include "ingest/query_reader.h"
#include "ingest/units.h"

namespace ingest {

engine::Task<> get_config(HttpConnection& connection, const HttpRequest& request,
                          HttpContext& context) {
    QueryReader parameters(request);
    const std::string prefix = parameters.text("name");
    if (auto no = parameters.refusal()) co_return co_await connection.answer(std::move(*no));
    CHECK(context.config != nullptr, "the configuration's path was routed without one");
    std::string body;
    JsonObject object(body);
    object.text_if("file", context.config->file.string())
        .text("hash", context.config->hash())
        .text("loaded", format_time(std::chrono::floor<std::chrono::milliseconds>(
                            context.config->loaded)));
    object.key("settings");
    body += '[';
    bool first = true;
    for (const Config::Effective& setting : context.config->effective) {
        if (!setting.name.starts_with(prefix)) continue;
        if (!std::exchange(first, false)) body += ',';
        JsonObject one(body);
        one.text("name", setting.name).text("value", setting.value).text("origin", setting.origin);
        one.close();
    }
    body += ']';
    object.close();
    co_await connection.answer({.body = std::move(body) + "\n"});
}

}  // namespace ingest
