#include "ingest/events_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "ingest/api_error.h"
#include "ingest/event_filter.h"
#include "ingest/event_json.h"
#include "ingest/units.h"

namespace ingest {

using engine::Instant;
using engine::Task;

namespace {

struct EventQuery {
    uint64_t after = 0;
    uint64_t limit = EventLimits::events_default;
    std::chrono::milliseconds wait{0};
    std::optional<storage::WallTime> since;
    EventFilter filter;  // its tenant: whose events alone are shown
};

std::expected<EventQuery, BadRequest> read_query(const HttpRequest& request,
                                                 storage::WallTime now) {
    EventQuery out{.filter = {.tenant = request.tenant}};
    BadRequest bad;
    const auto wrong = [&](const std::string& name, std::string message) {
        bad.errors.push_back({"parameter.value", std::move(message), "?" + name, {}});
    };
    for (const auto& [name, value] : request.query) {
        if (name == "after") {
            const auto after = parse_count(value, UINT64_MAX);
            after ? void(out.after = *after) : wrong(name, after.error());
        } else if (name == "limit") {
            const auto limit = parse_count(value, EventLimits::events_max);
            limit ? void(out.limit = std::max<uint64_t>(*limit, 1)) : wrong(name, limit.error());
        } else if (name == "wait") {
            const auto wait = parse_duration(value);
            wait
                ? void(out.wait = std::min<std::chrono::milliseconds>(*wait, EventLimits::wait_max))
                : wrong(name, wait.error());
        } else if (name == "since") {
            const auto ago = parse_duration(value);
            const auto time = ago ? Parsed<storage::WallTime>(now - *ago) : parse_time(value);
            time ? void(out.since = *time)
                 : wrong(name,
                         "is neither a duration, such as 1h, nor a time, such as "
                         "2026-11-22T10:00:00Z");
        } else if (name == "type") {
            const auto types = parse_event_types(value);
            types ? void(out.filter.types = *types) : wrong(name, types.error());
        } else if (name == "campaign") {
            out.filter.campaign = value;
        } else if (name == "to") {
            out.filter.to = value;
        } else {
            bad.errors.push_back({"parameter.unknown", "there is no such parameter",
                                  "?" + name.substr(0, 64),
                                  "known are: after, since, limit, wait, type, campaign, to"});
        }
    }
    if (bad.errors.empty()) return out;
    return std::unexpected(std::move(bad));
}

/// What one request has read so far. Worked on by the worker while the shard does other things.
struct EventPage {
    EventQuery query;
    uint64_t cursor = 0;  // every event up to here was looked at
    uint64_t scanned = 0, found = 0;
    std::string lines;
    std::string error;  // of the store

    bool full() const {
        return found >= query.limit || scanned >= EventLimits::scanned_max ||
               lines.size() >= EventLimits::answer_bytes_max;
    }
    void read(storage::Store& store) {
        const auto events = store.events(cursor, EventLimits::page);
        if (!events) {
            error = events.error().what;
            return;
        }
        for (const storage::Event& event : *events) {
            if (full()) return;
            cursor = event.seq;
            ++scanned;
            if (!query.filter.takes(event)) continue;
            ++found;
            append_event(lines, event);
            lines += '\n';
        }
    }
};

/// Until there is something to tell, the wait is over or this node stops.
Task<> fill(EventPage* page, HttpContext* context) {
    const Instant deadline = context->reactor.now() + page->query.wait;
    while (true) {
        while (!page->full() && page->error.empty() && page->cursor < context->feed.last()) {
            const uint64_t before = page->cursor;
            co_await context->worker.run([&] { page->read(context->store); });
            if (page->cursor == before) break;
        }
        if (page->found > 0 || page->full() || !page->error.empty()) co_return;
        if (context->draining || context->reactor.now() >= deadline) co_return;
        // In slices, so that a stop is noticed.
        co_await context->feed.wait_beyond(
            page->cursor,
            std::min<Instant>(deadline, context->reactor.now() + HttpLimits::drain_check));
    }
}

}  // namespace

Task<> get_events(HttpConnection& connection, const HttpRequest& request, HttpContext& context) {
    auto query = read_query(request, context.intake.now());
    if (!query) co_return co_await connection.answer(to_answer(query.error()));
    EventPage page{.query = *std::move(query)};
    page.cursor = page.query.after;
    if (page.query.since) {
        storage::Result<uint64_t> first;
        co_await context.worker.run(
            [&] { first = context.store.first_event_since(*page.query.since); });
        if (!first) {
            co_return co_await connection.answer(
                to_answer(503, {"storage.failed", first.error().what, {}, {}}));
        }
        page.cursor = std::max(page.cursor, *first - 1);
    }
    co_await fill(&page, &context);
    if (!page.error.empty()) {
        co_return co_await connection.answer(
            to_answer(503, {"storage.failed", page.error, {}, {}}));
    }
    HttpAnswer answer{.body = std::move(page.lines), .content_type = "application/x-ndjson"};
    answer.fields.emplace_back("Sluice-Cursor", std::to_string(page.cursor));
    answer.fields.emplace_back("Sluice-First", std::to_string(context.store.first_event()));
    co_await connection.answer(std::move(answer));
}

}  // namespace ingest
