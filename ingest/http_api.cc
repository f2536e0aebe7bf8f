#include "ingest/http_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "ingest/api_error.h"
#include "ingest/events_api.h"
#include "ingest/http_connection.h"
#include "ingest/in_doubt_api.h"
#include "ingest/messages_api.h"
#include "ingest/status_api.h"
#include "ingest/tls_reports_api.h"
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
    std::string_view path;  // one that ends in '/' takes exactly one more segment
    For whom;
    Handler handler;
};
constexpr std::array<Route, 10> routes{{{"POST", "/v1/messages", For::tenants, post_messages},
                                       {"GET", "/v1/events", For::tenants, get_events},
                                       {"GET", "/v1/status", For::operators, get_status},
                                       {"GET", "/v1/jobs/", For::tenants, get_job},
                                       {"GET", "/v1/deliveries/", For::tenants, get_delivery},
                                       {"GET", "/v1/tls-reports", For::operators, get_tls_reports},
                                       {"GET", "/v1/in-doubt", For::operators, get_in_doubt},
                                       {"POST", "/v1/in-doubt/", For::operators, post_in_doubt},
                                       {"GET", "/healthz", For::anybody, get_health},
                                       {"GET", "/readyz", For::anybody, get_readiness}}};

bool matches(const Route& route, std::string_view path) {
    if (!route.path.ends_with('/')) return path == route.path;
    return path.size() > route.path.size() && path.starts_with(route.path) &&
           path.find('/', route.path.size()) == std::string_view::npos;
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
                               "ask over its Unix socket"});
    }
    request.tenant = *tenant;
    return std::nullopt;
}

Task<> dispatch(HttpConnection& connection, HttpRequest& request, HttpContext& context) {
    // A HEAD is a GET whose body is not sent.
    const std::string_view method =
        request.method == "HEAD" ? std::string_view("GET") : request.method;
    std::string allowed;
    for (const Route& route : routes) {
        if (!matches(route, request.path)) continue;
        if (route.method == method) {
            auto no = refusal(route.whom, connection, request, context);
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
