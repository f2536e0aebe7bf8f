#include "ingest/orders_api.h"

#include <fmt/format.h>

#include "ingest/api_error.h"
#include "ingest/json_out.h"
#include "ingest/order_json.h"
#include "storage/ids.h"

namespace ingest {

using engine::Task;

namespace {

/// What a request asks for beside its body.
struct Asked {
    bool dry_run = false, count = false;
};

std::expected<Asked, HttpAnswer> asked_by(const HttpRequest& request) {
    Asked asked;
    for (const auto& [name, value] : request.query) {
        bool* const flag = name == "dry_run" ? &asked.dry_run
                           : name == "count" ? &asked.count
                                             : nullptr;
        if (!flag) {
            return std::unexpected(
                to_answer(422, {"parameter.unknown", "there is no such parameter",
                                "?" + name.substr(0, 64), "known are: dry_run, count"}));
        }
        *flag = value == "true" || value == "1" || value.empty();
        if (!*flag && value != "false" && value != "0") {
            return std::unexpected(
                to_answer(422, {"parameter.value", "must be true or false", "?" + name, {}}));
        }
    }
    return asked;
}

/// A tenant's key is for its own mail, whoever it says it speaks for.
std::optional<HttpAnswer> settle_tenant(const HttpRequest& request, OrderRequest& order) {
    if (request.tenant.empty()) return std::nullopt;
    if (order.reach.tenant && *order.reach.tenant != request.tenant) {
        return to_answer(403, {"tenant.other", "the API key is another tenant's", "tenant",
                               "leave it out, or use that tenant's key"});
    }
    if (order.reach.names_way() || !order.route.empty()) {
        return to_answer(403, {"tenant.forbidden",
                               "providers, sites, sources and routes are for operators of the node",
                               {},
                               "ask over its Unix socket"});
    }
    order.reach.tenant = request.tenant;
    return std::nullopt;
}

HttpAnswer refused(const engine::OrderRefusal& refusal, std::string_view what) {
    using Why = engine::OrderRefusal::Why;
    switch (refusal.why) {
        case Why::too_many:
            return to_answer(429, {"orders.max", refusal.words, {}, {}});
        case Why::unknown:
            return to_answer(404, {fmt::format("{}.unknown", what), refusal.words, {}, {}});
        case Why::storage:
            break;
    }
    return to_answer(503, {"storage.failed", refusal.words, {}, {}});
}

HttpAnswer counted(uint64_t deliveries) {
    std::string body;
    JsonObject object(body);
    object.flag("dry_run", true).number("deliveries", deliveries).close();
    return {.body = std::move(body) + "\n"};
}

std::string_view segment(const HttpRequest& request, size_t place) {
    std::string_view rest = std::string_view(request.path).substr(1);
    for (; place > 0; --place) rest.remove_prefix(std::min(rest.find('/'), rest.size() - 1) + 1);
    return rest.substr(0, rest.find('/'));
}

bool may_see(const HttpRequest& request, const engine::Reach& reach) {
    return request.tenant.empty() || reach.tenant == request.tenant;
}

/// The order of a request, read and settled; or the answer that refuses it.
Task<std::expected<OrderRequest, HttpAnswer>> order_of(HttpConnection* connection,
                                                       const HttpRequest* request, OrderKind kind,
                                                       storage::WallTime now) {
    auto body = co_await connection->read_whole_body(OrderLimits::body_bytes_max);
    if (!body) co_return std::unexpected(to_answer(body.error()));
    auto order = read_order(kind, *std::move(body), now);
    if (!order) co_return std::unexpected(to_answer(order.error()));
    if (auto no = settle_tenant(*request, *order)) co_return std::unexpected(*std::move(no));
    co_return std::move(*order);
}

Task<HttpAnswer> suspend(HttpConnection* connection, const HttpRequest* request,
                         HttpContext* context) {
    const auto asked = asked_by(*request);
    if (!asked) co_return asked.error();
    auto order =
        co_await order_of(connection, request, OrderKind::suspension, context->intake.now());
    if (!order) co_return order.error();
    engine::Orders& orders = *context->orders;
    std::optional<engine::Suspension> made;
    if (!asked->dry_run) {
        auto done = co_await orders.suspend({.reach = order->reach,
                                             .reason = std::move(order->reason),
                                             .until = order->until,
                                             .route = std::move(order->route)});
        if (!done) co_return refused(done.error(), "suspension");
        made = std::move(*done);
    }
    uint64_t deliveries = 0;
    if (asked->dry_run || asked->count) {
        const auto count = co_await orders.count(order->reach, &context->worker);
        if (!count) co_return to_answer(503, {"storage.failed", count.error().what, {}, {}});
        deliveries = *count;
    }
    if (!made) co_return counted(deliveries);
    std::string body;
    JsonObject object(body);
    append_suspension(object, *made);
    if (asked->count) object.number("deliveries", deliveries);
    object.close();
    co_return HttpAnswer{.status = 201, .body = std::move(body) + "\n"};
}

Task<HttpAnswer> cancel(HttpContext* context, OrderRequest order, Asked asked) {
    engine::Orders& orders = *context->orders;
    uint64_t deliveries = 0;
    if (asked.dry_run || asked.count) {
        // Before: afterwards they are on their way out.
        const auto count = co_await orders.count(order.reach, &context->worker);
        if (!count) co_return to_answer(503, {"storage.failed", count.error().what, {}, {}});
        deliveries = *count;
    }
    if (asked.dry_run) co_return counted(deliveries);
    const auto done = co_await orders.cancel(std::move(order.reach), std::move(order.reason));
    if (!done) co_return refused(done.error(), "job");
    std::string body;
    JsonObject object(body);
    append_cancellation(object, *done);
    if (asked.count) object.number("deliveries", deliveries);
    object.close();
    co_return HttpAnswer{.status = 202, .body = std::move(body) + "\n"};
}

}  // namespace

Task<> post_suspension(HttpConnection& connection, const HttpRequest& request,
                       HttpContext& context) {
    HttpAnswer answer = co_await suspend(&connection, &request, &context);
    if (answer.status != 0) co_await connection.answer(std::move(answer));
}

Task<> get_suspensions(HttpConnection& connection, const HttpRequest& request,
                       HttpContext& context) {
    const auto all = co_await context.orders->suspensions_now();
    std::string body;
    JsonObject answer(body);
    answer.key("suspensions");
    body += '[';
    bool first = true;
    for (const engine::SuspensionProgress& one : all) {
        if (!may_see(request, one.order.reach)) continue;
        if (!std::exchange(first, false)) body += ',';
        JsonObject object(body);
        append_suspension(object, one.order);
        if (one.order.holds()) object.number("held", one.held);
        object.close();
    }
    body += ']';
    answer.close();
    co_await connection.answer({.body = std::move(body) + "\n"});
}

Task<> delete_suspension(HttpConnection& connection, const HttpRequest& request,
                         HttpContext& context) {
    const auto id = storage::parse_job_id(segment(request, 2));
    const engine::Suspension* const known = id ? context.orders->suspensions().find(*id) : nullptr;
    if (!known || !may_see(request, known->reach)) {
        co_return co_await connection.answer(to_answer(404, {"suspension.unknown",
                                                             "there is no such suspension",
                                                             {},
                                                             "GET /v1/suspensions lists them"}));
    }
    const auto ended = co_await context.orders->resume(*id);
    if (!ended) co_return co_await connection.answer(refused(ended.error(), "suspension"));
    std::string body;
    JsonObject object(body);
    append_suspension(object, *ended);
    object.close();
    co_await connection.answer({.body = std::move(body) + "\n"});
}

Task<> post_cancellation(HttpConnection& connection, const HttpRequest& request,
                         HttpContext& context) {
    const auto asked = asked_by(request);
    if (!asked) co_return co_await connection.answer(asked.error());
    auto order =
        co_await order_of(&connection, &request, OrderKind::cancellation, context.intake.now());
    HttpAnswer answer =
        order ? co_await cancel(&context, *std::move(order), *asked) : std::move(order.error());
    if (answer.status != 0) co_await connection.answer(std::move(answer));
}

Task<> post_job_cancel(HttpConnection& connection, const HttpRequest& request,
                       HttpContext& context) {
    const auto asked = asked_by(request);
    if (!asked) co_return co_await connection.answer(asked.error());
    const auto id = storage::parse_job_id(segment(request, 2));
    if (!id) {
        co_return co_await connection.answer(to_answer(
            422, {"job.id", "this is no job id", {}, "it is what the submission's answer said"}));
    }
    auto order =
        co_await order_of(&connection, &request, OrderKind::job_cancellation, context.intake.now());
    if (order) order->reach.job = *id;
    HttpAnswer answer =
        order ? co_await cancel(&context, *std::move(order), *asked) : std::move(order.error());
    if (answer.status != 0) co_await connection.answer(std::move(answer));
}

Task<> get_cancellations(HttpConnection& connection, const HttpRequest& request,
                         HttpContext& context) {
    const auto all = co_await context.orders->cancellations_now();
    std::string body;
    JsonObject answer(body);
    answer.key("cancellations");
    body += '[';
    bool first = true;
    for (const engine::CancellationProgress& one : all) {
        if (!may_see(request, one.order.reach)) continue;
        if (!std::exchange(first, false)) body += ',';
        JsonObject object(body);
        append_cancellation(object, one.order);
        object.number("cancelled", one.cancelled).close();
    }
    body += ']';
    answer.close();
    co_await connection.answer({.body = std::move(body) + "\n"});
}

}  // namespace ingest
