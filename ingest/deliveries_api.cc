#include "ingest/deliveries_api.h"

#include <algorithm>
#include <unordered_map>

#include "ingest/event_json.h"
#include "ingest/json_out.h"
#include "ingest/query_reader.h"
#include "ingest/units.h"
#include "storage/ids.h"

namespace ingest {

using engine::Task;
using storage::Event;

namespace {

std::string_view last_segment(const HttpRequest& request) {
    return std::string_view(request.path).substr(request.path.rfind('/') + 1);
}

HttpAnswer storage_failed(const storage::Error& error) {
    return to_answer(503, {"storage.failed", error.what, {}, {}});
}

std::string_view state_after(const Event& last) {
    return storage::is_terminal(last.type) ? to_string(last.type) : "open";
}

/// The deliveries to one address, from the newest event back. Worked on by the worker.
struct AddressSearch {
    std::string to, tenant;
    uint64_t limit = DeliveryLimits::deliveries_default;
    uint64_t cursor = 0;             // events below it were not looked at
    std::vector<Event> last_events;  // of each delivery, the newest first
    std::string error;

    bool takes(const Event& event) const {
        return event.to == to && (tenant.empty() || event.tenant == tenant);
    }

    void read(storage::Store& store) {
        const uint64_t first = std::max<uint64_t>(store.first_event(), 1);
        std::vector<storage::DeliveryId> seen;
        for (size_t scanned = 0; scanned < DeliveryLimits::scanned_max && cursor > first;
             scanned += DeliveryLimits::page) {
            const uint64_t from =
                cursor > first + DeliveryLimits::page ? cursor - DeliveryLimits::page : first;
            auto events = store.events(from - 1, cursor - from);
            if (!events) {
                error = events.error().what;
                return;
            }
            for (auto event = events->rbegin(); event != events->rend(); ++event) {
                if (event->seq >= cursor) continue;
                if (!takes(*event) || std::ranges::find(seen, event->delivery) != seen.end())
                    continue;
                if (last_events.size() >= limit) {
                    cursor = event->seq + 1;
                    return;
                }
                seen.push_back(event->delivery);
                last_events.push_back(std::move(*event));
            }
            cursor = from;
        }
        if (cursor <= first) cursor = 0;
    }
};

}  // namespace

Task<> get_deliveries(HttpConnection& connection, const HttpRequest& request,
                      HttpContext& context) {
    QueryReader parameters(request);
    AddressSearch search{.to = parameters.text("to")};
    search.limit = std::max<uint64_t>(parameters.count("limit", DeliveryLimits::deliveries_default,
                                                       DeliveryLimits::deliveries_max),
                                      1);
    search.cursor = parameters.count("before", context.store.last_event() + 1, UINT64_MAX);
    search.tenant = request.tenant;
    if (search.to.empty()) parameters.wrong("to", "is missing: a recipient's whole address");
    if (auto no = parameters.refusal()) co_return co_await connection.answer(std::move(*no));
    co_await context.worker.run([&] { search.read(context.store); });
    if (!search.error.empty()) {
        co_return co_await connection.answer(
            to_answer(503, {"storage.failed", search.error, {}, {}}));
    }
    std::string body;
    JsonObject object(body);
    object.text("to", search.to).key("deliveries");
    body += '[';
    for (const Event& event : search.last_events) {
        if (&event != search.last_events.data()) body += ',';
        JsonObject one(body);
        one.text("delivery", storage::to_text(event.delivery)).text("state", state_after(event));
        one.key("last_event");
        append_event(body, event);
        one.close();
    }
    body += ']';
    if (search.cursor > 0) object.number("before", search.cursor);
    object.close();
    co_await connection.answer({.body = std::move(body) + "\n"});
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
    co_await context.worker.run(
        [&] { events = context.store.events_of(*id, DeliveryLimits::story_events_max); });
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
    object.text("state", state_after(events->back()));
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

}  // namespace ingest
