// sluice status: what the daemon says of itself.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "ingest/client_error.h"
#include "ingest/commands.h"
#include "ingest/http_client.h"
#include "ingest/json_table.h"

namespace ingest {

int status(const ClientOptions& options) {
    const auto reply = call({.server = options.server, .target = "/v1/status"});
    if (!reply) return failed("status", reply.error());
    if (!reply->ok()) return failed("status", readable_errors(reply->status, reply->body));
    if (options.output == Output::json) {
        fmt::print("{}\n", reply->body);
        return 0;
    }
    // Ordered, because the daemon puts first what matters first.
    const auto document = nlohmann::ordered_json::parse(reply->body, nullptr, false);
    if (!document.is_object()) return failed("status", "the answer is not a JSON object");
    fmt::print("{}", as_table(document));
    return 0;
}

}  // namespace ingest
