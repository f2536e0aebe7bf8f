// sluice events: the event log, one readable line an event.
#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "ingest/client_error.h"
#include "ingest/commands.h"
#include "ingest/http_client.h"
#include "ingest/line_splitter.h"
#include "ingest/terminal.h"
#include "ingest/units.h"

namespace ingest {

namespace {
using nlohmann::json;
constexpr int page_events = 1000;

std::string text_of(const json& event, const char* name) {
    const auto it = event.find(name);
    if (it == event.end()) return {};
    return printable(it->is_string() ? it->get<std::string>() : it->dump());
}

Colour colour_of(std::string_view type) {
    if (type == "delivered") return Colour::good;
    if (type == "deferred") return Colour::warning;
    if (type == "accepted") return Colour::faint;
    return Colour::bad;
}

/// "time type to  code enhanced reply  via mx  next try …  delivery", leaving out what is absent.
std::string readable(const json& event) {
    const std::string type = text_of(event, "type");
    std::string line =
        fmt::format("{} {} {}", text_of(event, "time"),
                    coloured(fmt::format("{:<9}", type), colour_of(type)), text_of(event, "to"));
    const auto add = [&](std::string_view before, const std::string& text) {
        if (!text.empty()) line += fmt::format("{}{}", before, text);
    };
    add("  ", text_of(event, "code"));
    add(" ", text_of(event, "enhanced"));
    add(" ", text_of(event, "reply"));
    add("  at ", text_of(event, "stage"));
    add("  via ", text_of(event, "mx"));
    add("  attempt ", text_of(event, "attempt"));
    add("  next ", text_of(event, "next_attempt"));
    return line + "  " + coloured(text_of(event, "delivery"), Colour::faint);
}

void print_event(std::string_view text, Output output) {
    const json event = json::parse(text, nullptr, false);
    if (!event.is_object()) return;
    if (output == Output::json) {
        fmt::print("{}\n", text);
    } else {
        fmt::print("{}\n", readable(event));
    }
}

std::string target(const EventsOptions& options, uint64_t after) {
    std::string text = fmt::format("/v1/events?after={}&limit={}", after, page_events);
    if (options.until == EventsOptions::Until::interrupted) text += "&wait=30s";
    const auto add = [&](std::string_view name, const std::string& value) {
        if (!value.empty()) text += fmt::format("&{}={}", name, percent_encoded(value));
    };
    if (after == 0) add("since", options.since);
    add("type", options.type);
    add("campaign", options.campaign);
    add("to", options.to);
    return text;
}

std::expected<uint64_t, std::string> newest_event(const std::string& server) {
    const auto reply = call({.server = server, .target = "/v1/status"});
    if (!reply) return std::unexpected(reply.error());
    if (!reply->ok()) return std::unexpected(readable_errors(reply->status, reply->body));
    const json status = json::parse(reply->body, nullptr, false);
    const json* newest =
        status.is_object() && status.contains("storage") ? &status["storage"] : nullptr;
    if (!newest || !newest->is_object() || !newest->contains("last_event") ||
        !(*newest)["last_event"].is_number_unsigned()) {
        return std::unexpected("the status does not say which event is the newest; give --after");
    }
    return (*newest)["last_event"].get<uint64_t>();
}
}  // namespace

int events(const EventsOptions& options) {
    uint64_t after = options.after.value_or(0);
    if (!options.after && options.since.empty() &&
        options.until == EventsOptions::Until::interrupted) {
        const auto newest = newest_event(options.client.server);
        if (!newest) return failed("events", newest.error());
        after = *newest;
    }
    LineSplitter lines([&](std::string_view text) { print_event(text, options.client.output); });
    while (true) {
        const auto reply = call({.server = options.client.server,
                                 .target = target(options, after),
                                 .on_body = [&](std::string_view piece) {
                                     lines.take(piece);
                                     std::fflush(stdout);
                                 }});
        if (!reply) return failed("events", reply.error());
        if (!reply->ok()) return failed("events", readable_errors(reply->status, reply->body));
        if (std::ferror(stdout)) return 1;  // whoever read us has gone
        // The server says how far it looked, which filters may hide.
        const auto cursor = parse_count(reply->field("Sluice-Cursor"), UINT64_MAX);
        if (!cursor) return failed("events", "the answer has no Sluice-Cursor; is that a sluice?");
        const auto first = parse_count(reply->field("Sluice-First"), UINT64_MAX);
        if (options.after && first && after + 1 < *first && after > 0) {
            failed("events",
                   fmt::format("events {} to {} are no longer kept", after + 1, *first - 1));
        }
        if (*cursor == after && options.until == EventsOptions::Until::end) return 0;
        after = *cursor;
    }
}

}  // namespace ingest
