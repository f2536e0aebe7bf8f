// sluice trace: what is said on connections to hosts, as it is said.
#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>

#include "ingest/client_error.h"
#include "ingest/commands.h"
#include "ingest/http_client.h"
#include "ingest/line_splitter.h"
#include "ingest/live_client.h"
#include "ingest/terminal.h"

namespace ingest {

namespace {
using nlohmann::ordered_json;

constexpr size_t connections_known_max = 10'000;

std::string target(const TraceOptions& options) {
    std::string text = fmt::format("/v1/trace?count={}", options.count);
    const auto add = [&](std::string_view name, const std::string& value) {
        if (!value.empty()) text += fmt::format("&{}={}", name, percent_encoded(value));
    };
    add("domain", options.domain);
    add("tenant", options.tenant);
    add("host", options.host);
    add("site", options.site);
    add("provider", options.provider);
    add("source", options.source);
    add("for", options.lasts);
    if (options.content == TraceOptions::Content::shown) add("content", "true");
    return text;
}

/// "10:00:00.123 0-17 > MAIL FROM:<a@b.test>", behind a line that says which connection that is.
class Transcript {
  public:
    void line(const ordered_json& said) {
        if (const uint64_t left_out = count_of(said, "left_out"); left_out > 0)
            return write(coloured(
                fmt::format("({} lines left out: too much was said; ask for less)", left_out),
                Colour::warning));
        const std::string id = text_of(said, "connection"), time = clock_time(said);
        if (introduced_.size() > connections_known_max) introduced_.clear();
        if (introduced_.insert(id).second)
            write(coloured(introduction(said, id, time), Colour::faint));
        const std::string who = text_of(said, "who"), text = text_of(said, "text");
        const std::string front = coloured(fmt::format("{} {:<6}", time, id), Colour::faint);
        if (who == "we") return write(fmt::format("{} > {}", front, text));
        if (who == "host")
            return write(fmt::format("{} < {}", front, coloured(text, colour_of(text))));
        if (who == "content") return write(fmt::format("{} | {}", front, text));
        write(fmt::format("{} {}", front, coloured("* " + text, Colour::faint)));
    }

  private:
    static std::string clock_time(const ordered_json& said) {
        const std::string time = text_of(said, "time");  // 2026-11-22T10:00:00.123Z
        return time.size() >= 23 ? time.substr(11, 12) : time;
    }
    static std::string introduction(const ordered_json& said, const std::string& id,
                                    const std::string& time) {
        std::string line = fmt::format("{} {:<6} = {} [{}] site {}", time, id, text_of(said, "mx"),
                                       text_of(said, "ip"), text_of(said, "site"));
        const auto add = [&](const char* name) {
            if (const std::string value = text_of(said, name); !value.empty())
                line += fmt::format(" {} {}", name, value);
        };
        add("provider");
        add("source");
        return line;
    }
    static Colour colour_of(std::string_view reply) {
        if (reply.starts_with('4')) return Colour::warning;
        return reply.starts_with('5') ? Colour::bad : Colour::good;
    }
    static void write(const std::string& line) { fmt::print("{}\n", line); }

    std::set<std::string> introduced_;
};

}  // namespace

int trace(const TraceOptions& options) {
    Transcript transcript;
    LineSplitter lines([&](std::string_view text) {
        const auto said = ordered_json::parse(text, nullptr, false);
        if (!said.is_object()) return;  // a sign of life
        if (options.client.output == Output::json)
            fmt::print("{}\n", text);
        else
            transcript.line(said);
    });
    const auto reply = call({.server = options.client.server,
                             .target = target(options),
                             .on_body = [&](std::string_view piece) {
                                 lines.take(piece);
                                 std::fflush(stdout);
                             }});
    if (!reply) return failed("trace", reply.error());
    if (!reply->ok()) return failed("trace", readable_errors(reply->status, reply->body));
    return 0;
}

}  // namespace ingest
