#include "ingest/trace_api.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/reactor/sleep.h"
#include "ingest/api_error.h"
#include "ingest/json_out.h"
#include "ingest/query_reader.h"
#include "ingest/units.h"

namespace ingest {

using engine::Task;
using engine::TraceDesk;

namespace {

/// Often enough for a person, seldom enough to gather lines into one write.
constexpr auto look_every = std::chrono::milliseconds(200);
/// A blank line: how else would we notice that a viewer has gone?
constexpr auto sign_of_life = std::chrono::seconds(2);

std::string lower_case(std::string text) {
    std::ranges::transform(text, text.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 32) : c;
    });
    return text;
}

HttpAnswer no_seat() {
    auto answer = to_answer(
        429, {"trace.viewers_max",
              fmt::format("{} are looking at conversations already", TraceDesk::viewers_max),
              {},
              "end another `sluice trace`; one that was cut is forgotten after 5 s"});
    answer.fields.emplace_back("Retry-After", "5");
    return answer;
}

void append_line(std::string& out, const engine::TraceLine& line) {
    const engine::TracedConnection& connection = *line.connection;
    JsonObject object(out);
    object.text("time", format_time(line.at)).text("connection", connection.id);
    object.text("site", connection.site).text_if("provider", connection.provider);
    object.text_if("source", connection.source).text("mx", connection.mx);
    object.text("ip", connection.ip).text("who", to_string(line.who)).text("text", line.text);
    object.close();
    out += '\n';
}

}  // namespace

Task<> get_trace(HttpConnection& connection, const HttpRequest& request, HttpContext& context) {
    QueryReader parameters(request);
    engine::TraceFilter asked{.domain = lower_case(parameters.text("domain")),
                              .tenant = parameters.text("tenant"),
                              .host = lower_case(parameters.text("host")),
                              .site = parameters.text("site"),
                              .provider = parameters.text("provider"),
                              .source = parameters.text("source"),
                              .content = parameters.flag("content")};
    const uint64_t count = parameters.count("count", 0, UINT64_MAX);  // lines; 0: without end
    std::optional<std::chrono::milliseconds> lasts;
    if (const std::string text = parameters.text("for"); !text.empty()) {
        const auto parsed = parse_duration(text);
        parsed ? void(lasts = *parsed) : parameters.wrong("for", parsed.error());
    }
    if (auto no = parameters.refusal()) co_return co_await connection.answer(std::move(*no));
    const auto filter = std::make_shared<const engine::TraceFilter>(std::move(asked));
    const uint64_t viewer = context.reactor.random()();
    auto read = co_await context.node.trace(viewer, filter);
    if (!read.seated) co_return co_await connection.answer(no_seat());
    co_await connection.begin_stream(200, "application/x-ndjson");
    uint64_t sent = 0;
    engine::Instant written = context.reactor.now();
    const engine::Instant end = lasts ? written + *lasts : engine::Instant::max();
    while (request.method == "GET" && !connection.broken() && !context.draining) {
        std::string out;
        for (const engine::TraceLine& line : read.lines) {
            if (count > 0 && sent == count) break;
            append_line(out, line);
            ++sent;
        }
        if (read.left_out > 0) {
            JsonObject(out).number("left_out", read.left_out).close();
            out += '\n';
        }
        const engine::Instant now = context.reactor.now();
        if (out.empty() && now - written >= sign_of_life) out = "\n";
        if (!out.empty()) {
            written = now;
            co_await connection.stream(out);
        }
        if (now >= end || (count > 0 && sent == count)) break;
        co_await engine::sleep_until(context.reactor,
                                     std::min<engine::Instant>(end, now + look_every));
        read = co_await context.node.trace(viewer, filter);
    }
    co_await context.node.trace(viewer, nullptr);
    co_await connection.end_stream();
}

}  // namespace ingest
