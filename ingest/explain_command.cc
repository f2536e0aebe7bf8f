// sluice explain: where a domain's mail goes and why, which limits hold with their lines, and what
// holds it back now.
#include <fmt/format.h>

#include "ingest/client_error.h"
#include "ingest/commands.h"
#include "ingest/http_client.h"
#include "ingest/live_client.h"
#include "ingest/terminal.h"

namespace ingest {

using nlohmann::ordered_json;

namespace {

/// "5 ([[provider]] google, sluice.toml:31)"
std::string set_by(const ordered_json& step) {
    const std::string section = text_of(step, "section"), origin = text_of(step, "origin");
    return section + (origin.empty() ? "" : ", " + origin);
}

std::string joined(const ordered_json& texts) {
    std::string text;
    for (const ordered_json& one : texts)
        text += (text.empty() ? "" : ", ") + printable(one.get<std::string>());
    return text;
}

void print_route(const ordered_json& said) {
    const ordered_json& route = member_of(said, "route");
    if (route.contains("problem")) {
        fmt::print(
            "no route: {}{}\n", text_of(route, "problem"),
            route.value("permanent", false) ? " (such mail bounces)" : " (such mail is put off)");
        return;
    }
    fmt::print("site      {}\nprovider  {}{}\n", text_of(said, "site"), text_of(said, "provider"),
               said.contains("mx_suffix") ? ", by the suffix " + text_of(said, "mx_suffix")
                                          : ", as no [[provider]] has all of its hosts");
    fmt::print(
        "route     by {}{}{}\n", text_of(route, "by"),
        route.value("dnssec", false) ? ", signed by DNSSEC" : "",
        route.contains("seconds_left")
            ? fmt::format(", asked again in {}", short_seconds(number_of(route, "seconds_left")))
            : "");
    Table table;
    for (const ordered_json& host : member_of(route, "hosts")) {
        const std::string by = text_of(host, "tls_by"), unknown = text_of(host, "tls_unknown");
        table.add({text_of(host, "preference"),
                   fmt::format("{}{}:{}", host.value("tls_first", false) ? "smtps://" : "",
                               text_of(host, "host"), text_of(host, "port")),
                   host.contains("problem") ? text_of(host, "problem")
                                            : joined(member_of(host, "addresses")),
                   unknown.empty() ? fmt::format("TLS {}{}", text_of(host, "tls"),
                                                 by.empty() ? "" : " by " + by)
                                   : "left out: " + unknown});
    }
    fmt::print("{}", table.text("          "));
    fmt::print("MTA-STS   {}\n", text_of(member_of(said, "tls"), "mta_sts"));
    if (said.contains("log_in")) fmt::print("log-in    as {}\n", text_of(said, "log_in"));
}

void print_limits(const ordered_json& said) {
    const ordered_json& limits = member_of(said, "limits");
    if (limits.empty()) return;
    fmt::print("limits    of each source there\n");
    Table table;
    for (const ordered_json& limit : limits) {
        std::string before;
        for (const ordered_json& step : member_of(limit, "overrode"))
            before += fmt::format("{}{} ({})", before.empty() ? "instead of " : ", ",
                                  text_of(step, "value"), set_by(step));
        table.add({text_of(limit, "limit"), text_of(limit, "value"), set_by(limit), before});
    }
    fmt::print("{}", table.text("          "));
}

/// What some of its mail is held to beside: by the source that it leaves from, or in a name that
/// counts for all sites.
void print_stricter(const ordered_json& said) {
    Table sources, totals;
    for (const ordered_json& one : member_of(said, "sources"))
        sources.add({"source " + text_of(one, "source"), text_of(one, "limit"),
                     text_of(one, "value"), text_of(one, "origin")});
    if (!member_of(said, "sources").empty())
        fmt::print("stricter  for what leaves from\n{}", sources.text("          "));
    for (const ordered_json& one : member_of(said, "totals"))
        totals.add({text_of(one, "words"), text_of(one, "origin")});
    if (!member_of(said, "totals").empty())
        fmt::print("totals    over all sites\n{}", totals.text("          "));
}

void print_orders(const ordered_json& said) {
    for (const ordered_json& order : member_of(said, "orders")) {
        std::string of;
        for (const char* name :
             {"tenant", "campaign", "domain", "class", "provider", "site", "source"})
            if (order.contains(name)) of += fmt::format(" {} {}", name, text_of(order, name));
        fmt::print("order     {} {}:{}{}{}\n", text_of(order, "suspension"),
                   order.contains("route") ? "leads another way" : "holds",
                   of.empty() ? " all mail" : of,
                   order.contains("until") ? ", until " + text_of(order, "until")
                                           : ", until somebody ends it",
                   order.contains("reason") ? ": " + text_of(order, "reason") : "");
    }
}

void print_shards(const ordered_json& site) {
    const uint64_t shards = count_of(site, "shards");
    if (shards > 1) {
        fmt::print(
            "shards    all {} send to it: the one that does otherwise was busier than "
            "node.spread_above\n",
            shards);
    } else if (site.contains("spread_ended")) {
        fmt::print("shards    one sends to it again, after all have: {}\n",
                   text_of(site, "spread_ended"));
    }
}

void print_now(const ordered_json& said) {
    fmt::print("waiting   {}{} of this domain, {} at its site\n",
               grouped(count_of(said, "waiting")),
               said.value("more_on_disk", false) ? " and more on disk" : "",
               grouped(count_of(said, "sending")));
    if (!said.contains("now")) {
        fmt::print("now       nothing went to this site lately, so nothing is learned of it\n");
        return;
    }
    const ordered_json& now = member_of(said, "now");
    const std::string limit = text_of(now, "limit");
    if (limit.empty()) {
        fmt::print("now       nothing holds it back\n");
    } else {
        fmt::print(
            "now       held back: {}{}{}{}\n", limit_words(limit),
            now.contains("limited_for_seconds")
                ? fmt::format(", for {} more", short_seconds(number_of(now, "limited_for_seconds")))
                : ", until there is room",
            now.contains("limit_origin") ? " (" + text_of(now, "limit_origin") + ")" : "",
            now.contains("limit_reason") ? ": " + text_of(now, "limit_reason") : "");
    }
    print_shards(now);
    for (const ordered_json& path : member_of(now, "paths")) {
        const std::string source = text_of(path, "source");
        fmt::print(
            "source    {}: {} connections{}{}\n", source.empty() ? "(the system's choice)" : source,
            grouped(count_of(path, "connections")),
            path.contains("learned_rate")
                ? fmt::format(", its hosts take {}/s", short_rate(number_of(path, "learned_rate")))
                : "",
            path.contains("learned_connections")
                ? fmt::format(", {} at a time", count_of(path, "learned_connections"))
                : "");
    }
}

}  // namespace

int explain(const ExplainOptions& options) {
    const std::string domain = options.domain.substr(options.domain.rfind('@') + 1);
    const auto said = ask(options.client.server, "/v1/explain?domain=" + percent_encoded(domain));
    if (!said) return failed("explain", said.error());
    if (options.client.output == Output::json) {
        fmt::print("{}\n", said->dump(-1, ' ', false, ordered_json::error_handler_t::replace));
        return 0;
    }
    print_route(*said);
    print_limits(*said);
    print_stricter(*said);
    print_orders(*said);
    print_now(*said);
    return 0;
}

}  // namespace ingest
