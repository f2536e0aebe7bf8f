#include "ingest/http_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "ingest/api_error.h"
#include "ingest/backup_api.h"
#include "ingest/config_api.h"
#include "ingest/console_api.h"
#include "ingest/deliveries_api.h"
#include "ingest/events_api.h"
#include "ingest/explain_api.h"
#include "ingest/http_connection.h"
#include "ingest/in_doubt_api.h"
#include "ingest/jobs_api.h"
#include "ingest/live_api.h"
#include "ingest/messages_api.h"
#include "ingest/orders_api.h"
#include "ingest/queues_api.h"
#include "ingest/reload_api.h"
#include "ingest/status_api.h"
#include "ingest/suppressions_api.h"
#include "ingest/tls_reports_api.h"
#include "ingest/trace_api.h"
#include "metrics/log.h"

namespace ingest {

using engine::Task;

namespace {

using Handler = Task<> (*)(HttpConnection&, const HttpRequest&, HttpContext&);
enum class For : uint8_t {
    anybody,
    tenants,   // with a key, once any tenant has one; they see what is theirs
    operators  // those who may use the Unix socket; everybody while no tenant has a key
};
struct Route {
    std::string_view method;
    std::string_view path;  // '*' stands for one segment
    For whom;
    Handler handler;
};
constexpr auto routes = std::to_array<Route>({
    {"POST", "/v1/messages", For::tenants, post_messages},
    {"GET", "/v1/events", For::tenants, get_events},
    {"GET", "/v1/live", For::tenants, get_live},
    {"GET", "/v1/status", For::operators, get_status},
    {"GET", "/v1/jobs", For::tenants, get_jobs},
    {"GET", "/v1/jobs/*", For::tenants, get_job},
    {"POST", "/v1/jobs/*/cancel", For::tenants, post_job_cancel},
    {"POST", "/v1/cancellations", For::tenants, post_cancellation},
    {"GET", "/v1/cancellations", For::tenants, get_cancellations},
    {"POST", "/v1/suspensions", For::tenants, post_suspension},
    {"GET", "/v1/suspensions", For::tenants, get_suspensions},
    {"DELETE", "/v1/suspensions/*", For::tenants, delete_suspension},
    {"GET", "/v1/deliveries", For::tenants, get_deliveries},
    {"GET", "/v1/deliveries/*", For::tenants, get_delivery},
    {"GET", "/v1/queues", For::tenants, get_queues},
    {"GET", "/v1/sites", For::operators, get_sites},
    {"GET", "/v1/sites/*", For::operators, get_site},
    {"GET", "/v1/providers", For::operators, get_providers},
    {"GET", "/v1/trace", For::operators, get_trace},
    {"GET", "/v1/explain", For::operators, get_explanation},
    {"GET", "/v1/config", For::operators, get_config},
    {"POST", "/v1/reload", For::operators, post_reload},
    {"GET", "/v1/tls-reports", For::operators, get_tls_reports},
    {"GET", "/v1/in-doubt", For::operators, get_in_doubt},
    {"POST", "/v1/in-doubt/*", For::operators, post_in_doubt},
    {"POST", "/v1/backup", For::operators, post_backup},
    {"POST", "/v1/suppressions", For::tenants, post_suppressions},
    {"GET", "/v1/suppressions", For::tenants, get_suppressions},
    {"DELETE", "/v1/suppressions", For::tenants, delete_suppression_entry},
    {"GET", "/healthz", For::anybody, get_health},
    {"GET", "/readyz", For::anybody, get_readiness},
    {"GET", "/", For::anybody, get_console},
    {"GET", "/console", For::anybody, get_console},
    {"GET", "/console/*", For::anybody, get_console},
});

bool matches(const Route& route, std::string_view path) {
    const size_t star = route.path.find('*');
    if (star == std::string_view::npos) return path == route.path;
    const std::string_view before = route.path.substr(0, star),
                           behind = route.path.substr(star + 1);
    if (path.size() <= before.size() + behind.size() || !path.starts_with(before) ||
        !path.ends_with(behind))
        return false;
    const size_t length = path.size() - before.size() - behind.size();
    return !path.substr(before.size(), length).contains('/');
}

HttpAnswer no_such_path() {
    std::string known;
    for (const Route& route : routes)
        known += fmt::format("{}{} {}", known.empty() ? "" : ", ", route.method, route.path);
    return to_answer(404,
                     {"path.unknown", "there is nothing at this path", {}, "known are: " + known});
}

/// Why the request is not answered; else it knows whose it is. Who may use the Unix socket is an
/// operator: its file has permissions.
std::optional<HttpAnswer> refusal(For whom, const HttpConnection& connection, HttpRequest& request,
                                  HttpContext& context) {
    if (whom == For::anybody || context.api_keys.empty() || connection.peer().starts_with("unix")) {
        return std::nullopt;
    }
    const std::string_view field = request.field("authorization");
    constexpr std::string_view scheme = "bearer ";
    const bool bearer = field.size() > scheme.size() &&
                        std::ranges::equal(field.substr(0, scheme.size()), scheme, {}, [](char c) {
                            return c >= 'A' && c <= 'Z' ? c | 32 : c;
                        });
    if (bearer && context.api_keys.is_admin(field.substr(scheme.size()))) return std::nullopt;
    const auto tenant =
        bearer ? context.api_keys.tenant_of(field.substr(scheme.size())) : std::nullopt;
    if (!tenant) {
        count_rejected(context, bearer ? "key_wrong" : "key_missing");
        if (bearer) metrics::log::warn("http.key_wrong", {{"peer", connection.peer()}});
        auto answer = to_answer(
            401, {bearer ? "key.wrong" : "key.missing",
                  bearer ? "this API key is no tenant's" : "an API key is needed here",
                  "Authorization", "send \"Authorization: Bearer \" and your tenant's API key"});
        answer.fields.emplace_back("WWW-Authenticate", "Bearer");
        return answer;
    }
    if (whom == For::operators) {
        return to_answer(403, {"tenant.forbidden",
                               "this is for the operators of the node",
                               {},
                               "ask over its Unix socket, or with the operators' key"});
    }
    request.tenant = *tenant;
    return std::nullopt;
}

/// Other people's pages, open in an operator's browser, must not speak for him: neither as what
/// they are nor by a name of theirs that leads here (DNS rebinding). Only browsers send these
/// fields.
std::optional<HttpAnswer> browser_refusal(const HttpRequest& request, const HttpContext& context) {
    const std::string_view from = request.field("sec-fetch-site");
    const bool foreign = from == "cross-site" || from == "same-site";
    std::string_view host = request.field("host");
    if (const size_t colon = host.rfind(':');
        colon != std::string_view::npos && !host.ends_with(']'))
        host = host.substr(0, colon);
    const std::string_view origin = request.field("origin");
    const bool browser = !from.empty() || !origin.empty();
    // What older browsers send of a page that is not ours.
    const bool other_origin =
        !origin.empty() && !origin.ends_with("//" + std::string(request.field("host")));
    const bool known = host == "localhost" || host == context.node_name || host.starts_with('[') ||
                       host.find_first_not_of("0123456789.") == std::string_view::npos;
    // With keys a foreign name gets nowhere, and a proxy may have one of its own.
    const bool trusts_names = !context.api_keys.empty();
    if (!foreign && (trusts_names || !browser || (known && !other_origin))) return std::nullopt;
    return to_answer(403, {"browser.foreign",
                           "a page from elsewhere asked for this",
                           {},
                           "open the console at this node's address or name"});
}

Task<> dispatch(HttpConnection& connection, HttpRequest& request, HttpContext& context) {
    // A HEAD is a GET whose body is not sent.
    const std::string_view method =
        request.method == "HEAD" ? std::string_view("GET") : request.method;
    std::string allowed;
    for (const Route& route : routes) {
        if (!matches(route, request.path)) continue;
        if (route.method == method) {
            auto no = route.whom == For::anybody ? std::nullopt : browser_refusal(request, context);
            if (!no) no = refusal(route.whom, connection, request, context);
            if (no) co_return co_await connection.answer(std::move(*no));
            co_return co_await route.handler(connection, request, context);
        }
        allowed += allowed.empty() ? route.method : ", " + std::string(route.method);
        if (route.method == "GET") allowed += ", HEAD";
    }
    if (allowed.empty()) co_return co_await connection.answer(no_such_path());
    auto answer = to_answer(
        405, {"method.not_allowed", "this path does not take this method", {}, "use " + allowed});
    answer.fields.emplace_back("Allow", allowed);
    co_await connection.answer(std::move(answer));
}

}  // namespace

Task<> serve_http(std::unique_ptr<engine::Stream> stream, HttpContext& context) {
    HttpConnection connection(std::move(stream), context.reactor, context.draining);
    while (true) {
        auto request = co_await connection.next();
        if (!request) break;
        co_await dispatch(connection, *request, context);
        const bool goes_on = co_await connection.settle();
        if (!goes_on) break;
    }
}

}  // namespace ingest
