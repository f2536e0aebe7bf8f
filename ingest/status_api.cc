#include "ingest/status_api.h"

#include "ingest/api_error.h"
#include "ingest/event_json.h"
#include "ingest/json_out.h"
#include "ingest/messages_api.h"
#include "ingest/units.h"
#include "storage/ids.h"

namespace ingest {

using engine::Task;
using storage::JobCounts;
using storage::WallTime;

namespace {

constexpr size_t story_events_max = 1'000;

/// `states` in the order in which they come about; they add up to accepted.
void append_counts(JsonObject& object, const JobCounts& counts) {
    object.number("accepted", counts.accepted)
        .number("open", counts.open())
        .number("delivered", counts.delivered);
    object.number("bounced", counts.bounced).number("expired", counts.expired);
    object.number("cancelled", counts.cancelled).number("suppressed", counts.suppressed);
    object.number("deferrals", counts.deferrals);
}

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

std::string_view last_segment(const HttpRequest& request) {
    return std::string_view(request.path).substr(request.path.rfind('/') + 1);
}

HttpAnswer storage_failed(const storage::Error& error) {
    return to_answer(503, {"storage.failed", error.what, {}, {}});
}

std::string job_text(const storage::JobStatus& status, WallTime now) {
    std::string out;
    JsonObject object(out);
    const storage::Job& job = status.job;
    object.text("job", storage::to_text(job.id))
        .text("tenant", job.tenant)
        .text_if("campaign", job.campaign);
    object.text("class", to_string(job.klass))
        .text("from", job.sender)
        .text("created", format_time(job.created));
    object.flag("complete", status.complete);
    append_counts(object, status.counts);
    const uint64_t open = status.counts.open(), ended = status.counts.accepted - open;
    const WallTime until = status.finished.value_or(now);
    // Over the job's whole life: steadier than the last seconds, and late jobs look late.
    const double seconds =
        std::max(std::chrono::duration<double>(until - job.created).count(), 0.001);
    const double rate = static_cast<double>(ended) / seconds;
    object.number("rate_per_second", rate);
    if (status.finished) {
        object.text("finished", format_time(*status.finished));
    } else if (open > 0 && ended > 0) {
        const double left = std::min(static_cast<double>(open) / rate, 10.0 * 365 * 86'400);
        object.text(
            "estimated_finish",
            format_time(now + std::chrono::milliseconds(static_cast<int64_t>(left * 1000))));
    }
    object.close();
    return out += '\n';
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

Task<> get_job(HttpConnection& connection, const HttpRequest& request, HttpContext& context) {
    const auto id = storage::parse_job_id(last_segment(request));
    if (!id) {
        co_return co_await connection.answer(
            to_answer(422, {"job.id",
                            "this is no job id",
                            {},
                            "a job id has 13 characters, as the answer to its submission said"}));
    }
    storage::Result<std::optional<storage::JobStatus>> status;
    co_await context.worker.run([&] { status = context.store.job(*id); });
    if (!status) co_return co_await connection.answer(storage_failed(status.error()));
    const bool known =
        *status && (request.tenant.empty() || (*status)->job.tenant == request.tenant);
    if (!known) {
        co_return co_await connection.answer(
            to_answer(404, {"job.unknown",
                            "there is no such job",
                            {},
                            "jobs are forgotten some days after their end"}));
    }
    co_await connection.answer({.body = job_text(**status, context.intake.now())});
}

Task<> get_delivery(HttpConnection& connection, const HttpRequest& request, HttpContext& context) {
    const auto id = storage::parse_delivery_id(last_segment(request));
    if (!id) {
        co_return co_await connection.answer(
            to_answer(422, {"delivery.id",
                            "this is no delivery id",
                            {},
                            "it is a job id, a dash and the recipient's place"}));
    }
    storage::Result<std::vector<storage::Event>> events;
    co_await context.worker.run([&] { events = context.store.events_of(*id, story_events_max); });
    if (!events) co_return co_await connection.answer(storage_failed(events.error()));
    // Of another tenant's not even that it is there.
    if (events->empty() || (!request.tenant.empty() && events->front().tenant != request.tenant)) {
        co_return co_await connection.answer(
            to_answer(404, {"delivery.unknown",
                            "nothing is known of this delivery",
                            {},
                            "events are forgotten after some days"}));
    }
    std::string body;
    JsonObject object(body);
    object.text("delivery", storage::to_text(*id)).text("to", events->front().to);
    object.text("state", storage::is_terminal(events->back().type) ? to_string(events->back().type)
                                                                   : "open");
    object.key("events");
    body += '[';
    for (const storage::Event& event : *events) {
        if (&event != &events->front()) body += ',';
        append_event(body, event);
    }
    body += ']';
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
