#include "ingest/live_api.h"

#include <fmt/format.h>

#include "ingest/live_desk.h"
#include "ingest/messages_api.h"
#include "ingest/query_reader.h"

namespace ingest {

using engine::Task;

namespace {

LiveNode node_of(const HttpContext& context) {
    const auto refusal = context.intake.refusal();
    return {.name = context.node_name,
            .version = context.version,
            .state = context.draining ? "draining"
                     : refusal        ? "refusing"
                                      : "accepting",
            .refusal = refusal ? std::string(refusal_code(refusal->why)) : ""};
}

HttpAnswer no_seat() {
    auto answer =
        to_answer(429, {"live.viewers_max",
                        fmt::format("{} are looking already at this shard", LiveDesk::viewers_max),
                        {},
                        "close a console that nobody looks at"});
    answer.fields.emplace_back("Retry-After", "5");
    return answer;
}

}  // namespace

Task<> get_live(HttpConnection& connection, const HttpRequest& request, HttpContext& context) {
    QueryReader parameters(request);
    // How many are sent before the stream ends; 0: it does not end.
    const uint64_t count = parameters.count("count", 0, UINT64_MAX);
    if (auto no = parameters.refusal()) co_return co_await connection.answer(std::move(*no));
    CHECK(context.live != nullptr, "the live stream was routed without a desk");
    LiveDesk& desk = *context.live;
    const LiveDesk::Seat seat(desk);
    if (!seat) co_return co_await connection.answer(no_seat());
    co_await connection.begin_stream(200, "text/event-stream");
    uint64_t seen = 0, sent = 0;
    if (request.tenant.empty() && count == 0) {
        const std::string past = "event: history\ndata: " + co_await desk.history() + "\n\n";
        co_await connection.stream(past);
    }
    // Who asks for the head alone gets nothing that could fail, and would be served for ever.
    while (request.method == "GET" && !connection.broken() && !context.draining &&
           (count == 0 || sent < count)) {
        co_await desk.next(seen, context.reactor.now() + HttpLimits::drain_check);
        if (desk.number() <= seen) continue;
        seen = desk.number();
        ++sent;
        const std::string text =
            fmt::format("id: {}\ndata: {}\n\n", seen,
                        live_json(desk.readings(), node_of(context), request.tenant));
        co_await connection.stream(text);
    }
    co_await connection.end_stream();
}

}  // namespace ingest
