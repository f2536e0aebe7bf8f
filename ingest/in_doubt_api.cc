#include "ingest/in_doubt_api.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "engine/delivery/in_doubt.h"
#include "ingest/api_error.h"
#include "ingest/event_json.h"
#include "ingest/json_out.h"
#include "ingest/units.h"
#include "storage/ids.h"

namespace ingest {

using engine::Held;
using engine::HeldSettled;
using engine::Task;

namespace {

constexpr size_t listed_max = 10'000;
constexpr size_t listed_default = 1'000;

struct HeldQuery {
    size_t limit = listed_default;
    std::vector<storage::DeliveryId> deliveries;
    bool all = false;
};

std::expected<HeldQuery, BadRequest> read_query(const HttpRequest& request) {
    HeldQuery out;
    BadRequest bad;
    const bool lists = request.method != "POST";
    for (const auto& [name, value] : request.query) {
        if (lists && name == "limit") {
            const char* const end = value.data() + value.size();
            const auto [upto, wrong] = std::from_chars(value.data(), end, out.limit);
            if (wrong != std::errc{} || upto != end || out.limit == 0 || out.limit > listed_max)
                bad.errors.push_back({"parameter.value", "is not a number of deliveries", "?limit",
                                      "1 to " + std::to_string(listed_max)});
        } else if (!lists && name == "delivery") {
            const auto id = storage::parse_delivery_id(value);
            if (!id) {
                bad.errors.push_back({"parameter.value", "is no delivery id", "?delivery",
                                      "it is a job id, a dash and the recipient's place"});
            }
            out.deliveries.push_back(id.value_or(storage::DeliveryId{}));
        } else if (!lists && name == "all" && value == "true") {
            out.all = true;
        } else {
            bad.errors.push_back({"parameter.unknown", "there is no such parameter",
                                  "?" + name.substr(0, 64),
                                  lists ? "known is: limit" : "known are: delivery, all=true"});
        }
    }
    if (bad.errors.empty() && !lists && out.all == !out.deliveries.empty()) {
        bad.errors.push_back({"parameter.missing", "it does not say which deliveries", "?delivery",
                              "give their ids, or all=true"});
    }
    if (bad.errors.empty()) return out;
    return std::unexpected(std::move(bad));
}

struct HeldRow {
    Held held;
    storage::Delivery delivery;
    storage::QueueInfo queue;
};
struct HeldList {
    std::vector<HeldRow> rows;
    bool more = false;
    std::string trouble;
};

/// On the worker. Notes whose row is gone, because the delivery was cancelled, are passed over.
HeldList list_held(storage::Store& store, size_t limit) {
    HeldList list;
    const auto notes = store.notes(Held::kind, {}, limit + 1);
    if (!notes) return {.trouble = notes.error().what};
    list.more = notes->size() > limit;
    for (const storage::Note& note : *notes) {
        if (list.rows.size() == limit) break;
        auto held = engine::read_held(note);
        if (!held) continue;
        auto row = store.delivery(held->key);
        auto queue = store.queue(held->key.queue);
        if (!row) return {.trouble = row.error().what};
        if (!queue) return {.trouble = queue.error().what};
        if (!*row || !*queue || (*row)->doubt != storage::Doubt::held) continue;
        list.rows.push_back({std::move(*held), std::move(**row), std::move(**queue)});
    }
    return list;
}

std::string text_of(const HeldList& list) {
    std::string body;
    JsonObject object(body);
    object.key("held");
    body += '[';
    for (const HeldRow& row : list.rows) {
        if (&row != &list.rows.front()) body += ',';
        JsonObject one(body);
        one.text("delivery", storage::to_text(row.delivery.id)).text("to", row.delivery.recipient);
        one.text("tenant", row.queue.tenant).text_if("campaign", row.queue.campaign);
        one.text("class", to_string(row.queue.klass)).text("domain", row.queue.domain);
        one.number("attempts", row.delivery.attempts);
        one.text("since", format_time(row.held.since));
        one.text("expires", format_time(row.delivery.expires)).close();
    }
    body += ']';
    object.flag("more", list.more).close();
    return body += '\n';
}

/// What an operator's word is about.
struct Asked {
    std::vector<Held> held;
    size_t gone = 0;    // of those that were named
    bool more = false;  // of `all`, beyond those here
    std::string trouble;
};

/// On the worker.
Asked asked_for(storage::Store& store, const HeldQuery& query) {
    Asked asked;
    std::vector<storage::Note> notes;
    if (query.all) {
        auto all = store.notes(Held::kind, {}, listed_max + 1);
        if (!all) return {.trouble = all.error().what};
        asked.more = all->size() > listed_max;
        notes = std::move(*all);
        notes.resize(std::min(notes.size(), listed_max));
    }
    for (const storage::DeliveryId id : query.deliveries) {
        const std::string name = storage::to_text(id);
        const auto one = store.notes(Held::kind, name, 1);
        if (!one) return {.trouble = one.error().what};
        if (one->empty() || one->front().name != name)
            ++asked.gone;
        else
            notes.push_back(one->front());
    }
    for (const storage::Note& note : notes) {
        if (auto held = engine::read_held(note))
            asked.held.push_back(std::move(*held));
        else
            ++asked.gone;
    }
    return asked;
}

HttpAnswer storage_failed(const std::string& what) {
    return to_answer(503, {"storage.failed", what, {}, {}});
}

}  // namespace

Task<> get_in_doubt(HttpConnection& connection, const HttpRequest& request, HttpContext& context) {
    const auto query = read_query(request);
    if (!query) co_return co_await connection.answer(to_answer(query.error()));
    HeldList list;
    co_await context.worker.run([&] { list = list_held(context.store, query->limit); });
    if (!list.trouble.empty()) co_return co_await connection.answer(storage_failed(list.trouble));
    co_await connection.answer({.body = text_of(list)});
}

Task<> post_in_doubt(HttpConnection& connection, const HttpRequest& request, HttpContext& context) {
    const std::string_view verb =
        std::string_view(request.path).substr(request.path.rfind('/') + 1);
    if (verb != "retry" && verb != "delivered") {
        co_return co_await connection.answer(
            to_answer(404, {"path.unknown",
                            "there is nothing at this path",
                            {},
                            "known are: /v1/in-doubt/retry, /v1/in-doubt/delivered"}));
    }
    const auto query = read_query(request);
    if (!query) co_return co_await connection.answer(to_answer(query.error()));
    const auto answer = verb == "retry" ? engine::HeldAnswer::retry : engine::HeldAnswer::delivered;
    Asked asked;
    co_await context.worker.run([&] { asked = asked_for(context.store, *query); });
    if (!asked.trouble.empty()) co_return co_await connection.answer(storage_failed(asked.trouble));
    std::array<size_t, 4> counts{};  // by HeldSettled
    counts[static_cast<size_t>(HeldSettled::gone)] = asked.gone;
    for (Held& held : asked.held) {
        const HeldSettled what = co_await context.node.settle_held(std::move(held), answer);
        ++counts.at(static_cast<size_t>(what));
    }
    std::string body;
    JsonObject object(body);
    const auto count = [&](const char* name, HeldSettled what) {
        object.number(name, counts[static_cast<size_t>(what)]);
    };
    count("settled", HeldSettled::done);
    count("gone", HeldSettled::gone);
    count("busy", HeldSettled::busy);
    count("failed", HeldSettled::failed);
    object.flag("more", asked.more).close();
    co_await connection.answer({.body = std::move(body) + "\n"});
}

}  // namespace ingest
