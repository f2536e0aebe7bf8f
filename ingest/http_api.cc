#include "ingest/http_api.h"

#include <fmt/format.h>

#include <array>

#include "ingest/api_error.h"
#include "ingest/events_api.h"
#include "ingest/http_connection.h"
#include "ingest/messages_api.h"
#include "ingest/status_api.h"

namespace ingest {

using engine::Task;

namespace {

using Handler = Task<> (*)(HttpConnection&, const HttpRequest&, HttpContext&);
struct Route {
    std::string_view method;
    std::string_view path;  // one that ends in '/' takes exactly one more segment
    Handler handler;
};
constexpr std::array<Route, 7> routes{{{"POST", "/v1/messages", post_messages},
                                       {"GET", "/v1/events", get_events},
                                       {"GET", "/v1/status", get_status},
                                       {"GET", "/v1/jobs/", get_job},
                                       {"GET", "/v1/deliveries/", get_delivery},
                                       {"GET", "/healthz", get_health},
                                       {"GET", "/readyz", get_readiness}}};

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

Task<> dispatch(HttpConnection& connection, const HttpRequest& request, HttpContext& context) {
    // A HEAD is a GET whose body is not sent.
    const std::string_view method =
        request.method == "HEAD" ? std::string_view("GET") : request.method;
    std::string allowed;
    for (const Route& route : routes) {
        if (!matches(route, request.path)) continue;
        if (route.method == method) co_return co_await route.handler(connection, request, context);
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
        const auto request = co_await connection.next();
        if (!request) break;
        co_await dispatch(connection, *request, context);
        const bool goes_on = co_await connection.settle();
        if (!goes_on) break;
    }
}

}  // namespace ingest
