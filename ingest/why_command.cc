// sluice why: the story of a delivery in sentences, what it waits for, and what can be done.
#include <fmt/format.h>

#include <chrono>

#include "ingest/client_error.h"
#include "ingest/commands.h"
#include "ingest/http_client.h"
#include "ingest/live_client.h"
#include "ingest/terminal.h"
#include "ingest/units.h"

namespace ingest {

using nlohmann::ordered_json;

namespace {

std::string said(const ordered_json& event) {
    std::string reply;
    for (const char* name : {"code", "enhanced", "reply"})
        if (event.contains(name)) reply += (reply.empty() ? "" : " ") + text_of(event, name);
    return reply.empty() ? reply : fmt::format(": \"{}\"", reply);
}

std::string where(const ordered_json& event) {
    std::string text;
    if (event.contains("mx")) text += " by " + text_of(event, "mx");
    if (event.contains("ip")) text += fmt::format(" [{}]", text_of(event, "ip"));
    if (event.contains("stage")) text += " at " + text_of(event, "stage");
    return text;
}

std::string sentence(const ordered_json& event) {
    const std::string type = text_of(event, "type");
    if (type == "accepted") {
        const std::string from = text_of(event, "from"), campaign = text_of(event, "campaign");
        return fmt::format("accepted from {}{} of tenant {}", from.empty() ? "<>" : from,
                           campaign.empty() ? "" : " for campaign " + campaign,
                           text_of(event, "tenant"));
    }
    if (type == "delivered") {
        return fmt::format("delivered{} in {}{}", where(event),
                           short_seconds(number_of(event, "smtp_ms") / 1000), said(event));
    }
    if (type == "deferred") {
        return fmt::format("put off at attempt {}{}{}{}", text_of(event, "attempt"), where(event),
                           said(event),
                           event.contains("in_doubt")
                               ? "; it may have been taken all the same, so the next attempt can "
                                 "make a duplicate"
                               : "");
    }
    if (type == "bounced") {
        return fmt::format("bounced{}{} ({})", where(event), said(event),
                           text_of(event, "bounce_class"));
    }
    if (type == "expired") return "given up, because its time was over" + said(event);
    return type + where(event) + said(event);
}

/// Milliseconds from now; negative when it is past.
std::chrono::milliseconds from_now(const std::string& time) {
    const auto at = parse_time(time);
    const auto now =
        std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
    return at ? *at - now : std::chrono::milliseconds(0);
}

struct Advice {
    std::string waits_for, what_to_do;
};

/// Of a delivery that is open, by its last event.
Advice advice_for(const std::string& server, const ordered_json& last) {
    const auto left = from_now(text_of(last, "next_attempt"));
    if (last.contains("next_attempt") && left.count() > 0) {
        return {fmt::format("its next attempt, in {} ({})", short_duration(left),
                            text_of(last, "next_attempt")),
                "nothing needs to be done; `sluice classify` tells what a reply means"};
    }
    const std::string domain = text_of(last, "domain"), site = text_of(last, "site");
    if (site.empty()) {
        return {"its first attempt: it is due, and its queue, its route or an order keeps it",
                fmt::format("`sluice queue --domain {}` shows what waits there, `sluice check "
                            "--domain {}` whether its hosts can be reached",
                            domain, domain)};
    }
    const auto answer = ask(server, "/v1/sites/" + percent_encoded(site));
    const std::string limit = answer ? text_of(*answer, "limit") : "";
    if (limit.empty()) {
        return {fmt::format("its turn at {}, which nothing holds back", site),
                "if it stays so, look at `sluice top` and at the log"};
    }
    const std::string lasts =
        answer->contains("limited_for_seconds")
            ? fmt::format(" for {} more", short_seconds(number_of(*answer, "limited_for_seconds")))
            : "";
    const std::string origin = text_of(*answer, "limit_origin");
    return {fmt::format("{}: {}{}", site, held_words(*answer), lasts),
            !origin.empty() && limit != "rest"
                ? fmt::format("raise the limit in {} if the receiver agrees", origin)
                : std::string("nothing can be done here; the engine goes on by itself")};
}

int tell(const ClientOptions& client, const ordered_json& story) {
    fmt::print("{}  to {}  {}\n", text_of(story, "delivery"), text_of(story, "to"),
               text_of(story, "state"));
    const ordered_json& events = member_of(story, "events");
    for (const ordered_json& event : events)
        fmt::print("  {}  {}\n", text_of(event, "time"), sentence(event));
    if (text_of(story, "state") != "open" || events.empty()) return 0;
    const Advice advice = advice_for(client.server, events.back());
    fmt::print("It waits for {}.\n{}{}.\n", advice.waits_for,
               static_cast<char>(std::toupper(advice.what_to_do.front())),
               advice.what_to_do.substr(1));
    return 0;
}

int story_of(const ClientOptions& client, const std::string& delivery) {
    const auto story = ask(client.server, "/v1/deliveries/" + percent_encoded(delivery));
    if (!story) return failed("why", story.error());
    if (client.output == Output::json) {
        fmt::print("{}\n", story->dump(-1, ' ', false, ordered_json::error_handler_t::replace));
        return 0;
    }
    return tell(client, *story);
}

}  // namespace

int why(const WhyOptions& options) {
    if (!options.what.contains('@')) return story_of(options.client, options.what);
    const auto found =
        ask(options.client.server, "/v1/deliveries?to=" + percent_encoded(options.what));
    if (!found) return failed("why", found.error());
    const ordered_json& deliveries = member_of(*found, "deliveries");
    if (options.client.output == Output::json) {
        fmt::print("{}\n", found->dump(-1, ' ', false, ordered_json::error_handler_t::replace));
        return deliveries.empty() ? 1 : 0;
    }
    if (deliveries.empty()) {
        return failed("why",
                      fmt::format("nothing is known of mail to {}{}", options.what,
                                  found->contains("before")
                                      ? " in the newest events; older ones were not looked at"
                                      : "; events are forgotten after some days"));
    }
    for (const ordered_json& one : deliveries) {
        if (const int status = story_of(options.client, text_of(one, "delivery")); status != 0)
            return status;
    }
    return 0;
}

}  // namespace ingest
