#include "ingest/live_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "ingest/client_error.h"
#include "ingest/http_client.h"
#include "ingest/terminal.h"

namespace ingest {

using nlohmann::ordered_json;

namespace {

constexpr size_t snapshot_bytes_max = 4 << 20;

/// The value of a line of a server-sent event; empty when there is none.
std::string_view field_of(std::string_view event, std::string_view name) {
    for (size_t at = 0; at < event.size();) {
        const size_t end = std::min(event.find('\n', at), event.size());
        const std::string_view line = event.substr(at, end - at);
        if (line.starts_with(name)) return line.substr(name.size());
        at = end + 1;
    }
    return {};
}

size_t columns_of(std::string_view text) {
    return static_cast<size_t>(
        std::ranges::count_if(text, [](char c) { return (c & 0xc0) != 0x80; }));
}

/// At most so many code points, without cutting one in two.
std::string_view first_columns(std::string_view text, size_t columns) {
    size_t at = 0;
    for (; at < text.size(); ++at) {
        if ((text[at] & 0xc0) == 0x80) continue;
        if (columns-- == 0) break;
    }
    return text.substr(0, at);
}

}  // namespace

std::expected<ordered_json, std::string> ask(const std::string& server, const std::string& target) {
    const auto reply = call({.server = server, .target = target});
    if (!reply) return std::unexpected(reply.error());
    if (!reply->ok()) return std::unexpected(readable_errors(reply->status, reply->body));
    auto document = ordered_json::parse(reply->body, nullptr, false);
    if (!document.is_object()) return std::unexpected("the answer is not a JSON object");
    return document;
}

std::expected<void, std::string> follow_live(const std::string& server, uint64_t count,
                                             const LiveTaker& take) {
    std::string rest;
    const auto on_body = [&](std::string_view piece) {
        rest += piece;
        size_t at = 0;
        for (size_t end; (end = rest.find("\n\n", at)) != std::string::npos; at = end + 2) {
            const std::string_view event = std::string_view(rest).substr(at, end - at);
            const std::string_view data = field_of(event, "data: ");
            if (!data.empty()) take(field_of(event, "event: "), data);
        }
        rest.erase(0, at);
        if (rest.size() > snapshot_bytes_max) rest.clear();  // no snapshot of ours is so long
    };
    const auto reply =
        call({.server = server,
              .target = count > 0 ? fmt::format("/v1/live?count={}", count) : "/v1/live",
              .on_body = on_body});
    if (!reply) return std::unexpected(reply.error());
    if (!reply->ok()) return std::unexpected(readable_errors(reply->status, reply->body));
    return {};
}

std::string short_rate(double per_second) {
    if (per_second <= 0) return "0";
    return per_second < 9.95 ? fmt::format("{:.1f}", per_second)
                             : grouped(static_cast<uint64_t>(std::llround(per_second)));
}

std::string short_seconds(double seconds) {
    if (seconds < 0.9995) return fmt::format("{:.0f} ms", seconds * 1000);
    if (seconds < 119.5) return fmt::format("{:.1f} s", seconds);
    if (seconds < 7170) return fmt::format("{:.0f} min", seconds / 60);
    if (seconds < 171'000) return fmt::format("{:.0f} h", seconds / 3600);
    return fmt::format("{:.0f} d", seconds / 86'400);
}

std::string bar(double share, size_t columns) {
    const auto filled = static_cast<size_t>(
        std::llround(std::clamp(share, 0.0, 1.0) * static_cast<double>(columns)));
    return std::string(filled, '#') + std::string(columns - filled, '.');
}

std::string fitted(std::string_view text, size_t columns) {
    const std::string_view cut = first_columns(text, columns);
    return std::string(cut) + std::string(columns - columns_of(cut), ' ');
}

std::string fitted_right(std::string_view text, size_t columns) {
    const std::string_view cut = first_columns(text, columns);
    return std::string(columns - columns_of(cut), ' ') + std::string(cut);
}

double number_of(const ordered_json& object, std::string_view name) {
    const auto found = object.find(name);
    return found != object.end() && found->is_number() ? found->get<double>() : 0;
}

uint64_t count_of(const ordered_json& object, std::string_view name) {
    return static_cast<uint64_t>(std::llround(std::max(number_of(object, name), 0.0)));
}

std::string text_of(const ordered_json& object, std::string_view name) {
    const auto found = object.find(name);
    if (found == object.end()) return {};
    return printable(found->is_string() ? found->get<std::string>() : found->dump());
}

const ordered_json& member_of(const ordered_json& object, std::string_view name) {
    static const ordered_json nothing = ordered_json::object();
    const auto found = object.find(name);
    return found == object.end() ? nothing : *found;
}

namespace {

/// "provider_rate": whose, and what of it; empty when it is no total.
std::string total_words(std::string_view limit) {
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 5> words{{
        {"connections", "connections in all"},
        {"connection_rate", "rate of connections in all"},
        {"rate", "rate in all"},
        {"hour", "messages of this hour are used up"},
        {"day", "messages of today are used up"},
    }};
    const size_t end = limit.find('_');
    const std::string_view whose = limit.substr(0, end);
    static constexpr std::array<std::string_view, 5> owners{"provider", "source", "pool", "tenant",
                                                            "node"};
    if (std::ranges::find(owners, whose) == owners.end()) return {};
    const auto what = std::ranges::find(words, limit.substr(end + 1),
                                        [](const auto& entry) { return entry.first; });
    return what == words.end() ? std::string() : fmt::format("the {}'s {}", whose, what->second);
}

}  // namespace

std::string held_words(const ordered_json& site) {
    const std::string limit = text_of(site, "limit");
    const std::string reason = text_of(site, "limit_reason");
    return total_words(limit).empty() || reason.empty() ? limit_words(limit) : reason;
}

std::string shards_words(const ordered_json& site) {
    const uint64_t shards = count_of(site, "shards");
    if (shards > 1) return fmt::format("all {}: one was too busy", shards);
    const std::string ended = text_of(site, "spread_ended");
    return ended.empty() ? grouped(shards) : "1 again: " + ended;
}

std::string limit_words(std::string_view limit) {
    if (std::string total = total_words(limit); !total.empty()) return total;
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 10> words{{
        {"reply", "a host said that we are too fast"},
        {"unreachable", "no connection could be opened"},
        {"connections", "all connections are in use"},
        {"rate", "the rate"},
        {"connection_rate", "connections are opened no faster"},
        {"learned_rate", "no faster than its hosts take mail"},
        {"learned_connections", "no more connections than its hosts take"},
        {"rest", "every source rests"},
        {"warmup", "its sources have sent what they may today"},
        {"suspended", "an operator holds it"},
    }};
    const auto known =
        std::ranges::find(words, limit, [](const auto& entry) { return entry.first; });
    return std::string(known == words.end() ? limit : known->second);
}

}  // namespace ingest
