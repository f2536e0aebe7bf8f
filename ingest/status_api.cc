#include "ingest/status_api.h"

#include "ingest/api_error.h"
#include "ingest/job_counts_json.h"
#include "ingest/json_out.h"
#include "ingest/messages_api.h"
#include "ingest/units.h"

namespace ingest {

using engine::Task;
using storage::JobCounts;

namespace {

JobCounts sum(const storage::Ledger& ledger) {
    JobCounts out;
    for (const auto& [tenant, counts] : ledger) {
        out.accepted += counts.accepted;
        out.delivered += counts.delivered;
        out.bounced += counts.bounced;
        out.expired += counts.expired;
        out.cancelled += counts.cancelled;
        out.suppressed += counts.suppressed;
        out.deferrals += counts.deferrals;
    }
    return out;
}

/// What only the worker may ask the store for.
struct NodeFacts {
    storage::Ledger ledger;
    uint64_t free_bytes = 0, data_bytes = 0, first_event = 0, last_event = 0;
    std::pair<int64_t, bool> rows;
    bool healthy = true;
    uint32_t boot = 0;
};

NodeFacts facts_of(storage::Store& store) {
    return {store.ledger(),     store.free_bytes(),    store.data_bytes(), store.first_event(),
            store.last_event(), store.delivery_rows(), store.healthy(),    store.boot()};
}

void append_delivery_status(std::string& out, const engine::DeliveryStatus& status) {
    JsonObject object(out);
    object.number("scheduled", status.scheduled)
        .number("ready", status.ready)
        .number("sending", status.sending);
    object.number("queues", status.queues).number("sites", status.sites);
    object.number("connections_busy", status.connections_busy)
        .number("connections_idle", status.connections_idle);
    object.number("oldest_seconds", status.oldest_seconds).close();
}

}  // namespace

Task<> get_status(HttpConnection& connection, const HttpRequest&, HttpContext& context) {
    NodeFacts facts;
    co_await context.worker.run([&] { facts = facts_of(context.store); });
    const engine::DeliveryStatus delivery = co_await context.node.status();
    std::string body;
    JsonObject object(body);
    object.text("node", context.node_name)
        .text("version", context.version)
        .number("boot", facts.boot);
    object.text("time", format_time(context.intake.now()));
    const auto refusal = context.intake.refusal();
    object.text("state", context.draining || delivery.draining ? "draining"
                         : refusal                             ? "refusing"
                                                               : "accepting");
    if (refusal) object.text("refusal", refusal_code(refusal->why));
    append_counts(object, sum(facts.ledger));
    object.key("delivery");
    append_delivery_status(body, delivery);
    object.key("tenants");
    {
        JsonObject tenants(body);
        for (const auto& [tenant, counts] : facts.ledger) {
            tenants.key(tenant);
            JsonObject one(body);
            append_counts(one, counts);
            one.close();
        }
        tenants.close();
    }
    object.key("storage");
    {
        JsonObject storage(body);
        storage.flag("healthy", facts.healthy).number("free_bytes", facts.free_bytes);
        storage.number("data_bytes", facts.data_bytes).number("first_event", facts.first_event);
        storage.number("last_event", facts.last_event).number("delivery_rows", facts.rows.first);
        storage.flag("delivery_rows_exact", facts.rows.second).close();
    }
    object.close();
    co_await connection.answer({.body = std::move(body) + "\n"});
}

Task<> get_health(HttpConnection& connection, const HttpRequest&, HttpContext&) {
    co_await connection.answer({.body = "{\"status\":\"ok\"}\n"});
}

Task<> get_readiness(HttpConnection& connection, const HttpRequest&, HttpContext& context) {
    auto refusal = context.intake.refusal();
    if (!refusal && context.draining) {
        refusal = engine::Refusal{engine::Refusal::Why::draining, {}, "this node is stopping"};
    }
    if (!refusal) co_return co_await connection.answer({.body = "{\"status\":\"ready\"}\n"});
    auto answer = refused_answer(*refusal);
    answer.status = 503;
    co_await connection.answer(std::move(answer));
}

}  // namespace ingest
